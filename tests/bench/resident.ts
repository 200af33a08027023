/**
 * What is there while a tunnel is up and nothing goes through it: processes,
 * their memory, and what they do all the same. All tunnels are up at once.
 * Prints Markdown.
 *
 * Usage: deno run -A tests/bench/resident.ts [SECONDS]
 */
import { Lab, type Node } from "../lab/lab.ts";
import { pidsOf, type Usage, usage } from "../lab/cost.ts";
import { eventually } from "../lab/running.ts";
import { measure, print } from "./measure.ts";
import { own, peers, SCRIPT, SSHUTTLE } from "./peers.ts";

/** The processes of one tunnel on one end, and what they had at first. */
interface Part {
  readonly node: Node;
  pids: readonly number[];
  before?: Usage;
}

const seconds = Number(Deno.args[0] ?? 30);
await using lab = await Lab.up({ jump: false });
const { client, server } = lab;
// Only one can have the network: an idle tunnel needs none.
const all = await peers(lab, [
  ...[SCRIPT, SSHUTTLE],
  ...[own("ssh-3", ""), own("ssh-gso", "")],
]);
const tunnels: { name: string; parts: Part[] }[] = [];
for (const peer of all) {
  const nodes = [client, server];
  const earlier = await Promise.all(nodes.map(pidsOf));
  await measure(lab, peer.connect);
  const parts = await Promise.all(nodes.map(async (node, i) => {
    const pids = await pidsOf(node);
    return { node, pids: pids.filter((pid) => !earlier[i]!.includes(pid)) };
  }));
  tunnels.push({ name: peer.name, parts });
}
const parts = tunnels.flatMap(({ parts }) => parts);
const now = ({ node, pids }: Part) => usage(node, pids);
// What connects has said that it has, and is about to end.
await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
await Promise.all(parts.map(async (part) => {
  const still = await pidsOf(part.node);
  part.pids = part.pids.filter((pid) => still.includes(pid));
  part.before = await now(part);
}));
await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const rows = await Promise.all(
  tunnels.flatMap(({ name, parts }) =>
    parts.map(async (part, i) => {
      const { rss, pss, cpu, sleeps } = await now(part);
      return [
        ...[name, ["here", "there"][i]!, String(part.pids.length)],
        ...[rss, pss].map((kib) => (kib / 1024).toFixed(1)),
        (cpu - part.before!.cpu).toFixed(1),
        String(sleeps - part.before!.sleeps),
      ];
    })
  ),
);
await print(
  `What is there, all tunnels up at once, and what it does in ${seconds} s with ` +
    `nothing to carry:`,
  [
    ...["way", "end", "processes", "RSS, MiB", "PSS, MiB"],
    ...["CPU, ms", "wake-ups"],
  ],
  rows,
);
