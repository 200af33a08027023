/**
 * How long from the start to the first byte from the far end, and until all is
 * stopped; and how long the program takes to start. All in turn, in one loop, so
 * that a change in the machine's speed changes all of them. Prints Markdown.
 *
 * Usage: deno run -A tests/bench/connect.ts [ROUNDS]
 */
import { Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import {
  Figures,
  FLOOR,
  inTurn,
  LOGIN,
  measure,
  print,
  progress,
} from "./measure.ts";
import { connect, own, peers, SCRIPT, SSHUTTLE, stop } from "./peers.ts";

const STARTS = ["--help", "-l"];

const rounds = Number(Deno.args[0] ?? 15);
await using lab = await Lab.up({ jump: false });
const all = await peers(lab, [SCRIPT, SSHUTTLE, own("ssh-3"), own("ssh-gso")]);
const times = new Figures();
const stops = new Figures();
for (let round = -1; round < rounds; round++) {
  await progress(`round ${round + 1} of ${rounds}`);
  const count = round >= 0; // the first one fills the caches
  const floor = await measure(lab, LOGIN);
  if (count) times.add(FLOOR, floor);
  for (const peer of inTurn(all, round)) {
    const there = await connect(lab, peer);
    const gone = await stop(lab, peer);
    if (!count) continue;
    times.add(peer.name, there);
    stops.add(peer.name, gone);
  }
  for (const option of STARTS) {
    const there = await measure(lab, `${pvpnBinary()} ${option} >/dev/null`);
    if (count) times.add(option, there);
  }
}
await print(
  `From the start to the first byte from the far end, and from the stop until ` +
    `no process of it is left here; ${rounds} rounds:`,
  ["way", "first byte, ms", `× ${FLOOR}`, "stop, ms"],
  [FLOOR, ...all.map(({ name }) => name)].map((name) => [
    ...[name, times.median(name), times.ratio(name, FLOOR)],
    stops.median(name),
  ]),
);
await print(
  "The program alone, in the same rounds:",
  ["command", "ms", `× ${FLOOR}`],
  STARTS.map((option) => [
    `\`pvpn ${option}\``,
    ...[times.median(option), times.ratio(option, FLOOR)],
  ]),
);
