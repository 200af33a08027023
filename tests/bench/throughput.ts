/**
 * TCP streams through each way: how much they carry, what a byte beside them
 * takes, and what that costs. All in turn, in one loop, so that a change in the
 * machine's speed changes all of them. Prints Markdown.
 * Needs iperf3: `tools/deps bench`.
 *
 * Usage: deno run -A tests/bench/throughput.ts [ROUNDS [SECONDS]]
 */
import { Lab } from "../lab/lab.ts";
import { Figures, inTurn, print, progress, quantile } from "./measure.ts";
import { connect, own, peers, RAW, SCRIPT, SSHUTTLE, stop } from "./peers.ts";
import { load, roundTrips } from "./traffic.ts";

const LOADS = [1, 4].flatMap((streams) =>
  (["up", "down"] as const).map((way) => ({ streams, way }))
);

const rounds = Number(Deno.args[0] ?? 5);
const seconds = Number(Deno.args[1] ?? 2);
await using lab = await Lab.up({ jump: false });
const all = await peers(lab, [
  ...[RAW, SCRIPT, SSHUTTLE],
  ...[own("ssh-3"), own("ssh-gso")],
]);
const [rate, trip, here, there] = Array.from(
  { length: 4 },
  () => new Figures(),
) as [Figures, Figures, Figures, Figures];
for (let round = 0; round < rounds; round++) {
  await progress(`round ${round + 1} of ${rounds}`);
  for (const peer of inTurn(all, round)) {
    await connect(lab, peer);
    trip.add(peer.name, quantile(await roundTrips(lab, peer, 1)));
    for (const { streams, way } of LOADS) {
      const sample = await load(lab, peer, { streams, way, seconds });
      const key = `${peer.name} ${way} ${streams}`;
      rate.add(key, sample.rate);
      trip.add(key, quantile(sample.trips));
      here.add(key, sample.cpu[0]);
      there.add(key, sample.cpu[1]);
    }
    await stop(lab, peer);
  }
}
await print(
  `TCP to a host behind the server, ${seconds} s at a time, and beside it one ` +
    `byte there and back at a time; ${rounds} rounds:`,
  [
    ...["way", "streams", "Mbit/s", "× script", "× no tunnel"],
    ...["RTT beside, ms", "× script", "CPU s/GB here", "CPU s/GB there"],
  ],
  LOADS.flatMap(({ streams, way }) =>
    all.map(({ name }) => {
      const of = (name: string) => `${name} ${way} ${streams}`;
      const [key, script, raw] = [of(name), of(SCRIPT.name), of(RAW.name)];
      return [
        ...[name, `${streams} ${way}`],
        ...[rate.median(key), rate.ratio(key, script), rate.ratio(key, raw, 3)],
        ...[trip.median(key, 1), trip.ratio(key, script)],
        ...[here.median(key, 2), there.median(key, 2)],
      ];
    })
  ),
);
await print(
  "One byte there and back, and nothing beside it, in the same rounds:",
  ["way", "RTT, ms", "× script", "× no tunnel"],
  all.map(({ name }) => [
    ...[name, trip.median(name, 2), trip.ratio(name, SCRIPT.name)],
    trip.ratio(name, RAW.name),
  ]),
);
