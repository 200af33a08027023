/**
 * A slow, lossy link: how long to the first byte, how long a byte takes there and
 * back, and what one stream carries, and four, through each way. Prints Markdown.
 * Needs ppp and netem: where this machine's kernel has them not, it runs in
 * the virtual machine, where all takes longer than the link says.
 *
 * Usage: deno run -A tests/bench/link.ts [ROUNDS [SECONDS]]
 */
import { has } from "../../tools/test_plan.ts";
import { Lab } from "../lab/lab.ts";
import { inMachine } from "./machine.ts";
import {
  Figures,
  FLOOR,
  LOGIN,
  measure,
  print,
  progress,
  quantile,
} from "./measure.ts";
import { connect, own, peers, RAW, SCRIPT, SSHUTTLE, stop } from "./peers.ts";
import { load, roundTrips } from "./traffic.ts";

/** Each way: together 100 ms there and back, and 2 packets of 100 lost. */
const NETEM = "netem delay 50ms loss 1% limit 100000";
const TYPES = ["ssh-3", "ssh-gso", "ssh-gso --parallel 4", "ppp"];
/** How many streams at a time. */
const STREAMS = [1, 4];

async function bench(rounds: number, seconds: number): Promise<void> {
  await using lab = await Lab.up({ jump: false });
  const ends = [[lab.client, "c0"], [lab.server, "s0"]] as const;
  for (const [node, device] of ends) {
    const argv = ["tc", "qdisc", "add", "dev", device, "root"];
    await node.ok([...argv, ...NETEM.split(" ")]);
  }

  const all = await peers(lab, [
    RAW,
    SCRIPT,
    SSHUTTLE,
    ...TYPES.map((type) => own(type)),
  ]);
  const [times, trips, late] = [new Figures(), new Figures(), new Figures()];
  const rates = STREAMS.map(() => new Figures());
  for (let round = -1; round < rounds; round++) {
    const count = round >= 0; // the first one fills the caches
    const floor = await measure(lab, LOGIN);
    if (count) times.add(FLOOR, floor);
    for (const peer of all) {
      await progress(`round ${round + 1} of ${rounds}: ${peer.name}`);
      const spent = await connect(lab, peer);
      if (count) {
        times.add(peer.name, spent);
        const all = await roundTrips(lab, peer, seconds);
        trips.add(peer.name, quantile(all));
        late.add(peer.name, quantile(all, 0.95));
        for (const [i, streams] of STREAMS.entries()) {
          const down = { way: "down", streams, seconds } as const;
          rates[i]!.add(peer.name, (await load(lab, peer, down)).rate);
        }
      }
      await stop(lab, peer);
    }
  }
  await print(
    `A link of 100 ms there and back that loses 1 % each way; ${rounds} rounds, ` +
      `${seconds} s of bytes there and back, and as long of one stream, and ` +
      "of four, down:",
    [
      ...["way", "first byte, ms", `× ${FLOOR}`],
      ...["RTT, ms", "95 %"],
      ...["one, Mbit/s", "one, × no tunnel"],
      ...["four, Mbit/s", "four, × no tunnel"],
    ],
    [FLOOR, ...all.map(({ name }) => name)].map((name) => [
      ...[name, times.median(name), times.ratio(name, FLOOR)],
      ...[trips.median(name), late.median(name)],
      ...rates.flatMap((rate) => [
        rate.median(name, 1),
        rate.ratio(name, RAW.name),
      ]),
    ]),
  );
}

const here = await Promise.all([has("ppp"), has("netem")]);
const [rounds = "2", seconds = "4"] = Deno.args;
if (here.every(Boolean)) await bench(Number(rounds), Number(seconds));
else Deno.exit(await inMachine(import.meta.url, Deno.args));
