/**
 * What a tunnel costs where others are up: the time to connect it, up to the
 * first byte, as a ratio to `ssh HOST true` in the same loop, and to stop it;
 * the processes that are started for it, and its memory, on both ends; and what
 * it does with nothing to carry. Prints Markdown.
 *
 * Usage: deno run -A tests/bench/scale.ts [MOST [ROUNDS [SECONDS]]]
 */
import { started, usage } from "../lab/cost.ts";
import { answerAll } from "../lab/crowd.ts";
import { Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { eventually } from "../lab/running.ts";
import {
  FLOOR,
  LOGIN,
  measure,
  NETWORK,
  print,
  quantile,
  readFirst,
} from "./measure.ts";

const most = Number(Deno.args[0] ?? 100);
const rounds = Number(Deno.args[1] ?? 5);
const seconds = Number(Deno.args[2] ?? 30);
const counts = [1, 10, 30, 100, 200].filter((count) => count <= most);

await using lab = await Lab.up({ jump: false });
const { client, server } = lab;
await answerAll(server);
const nodes = [client, server];
const now = () => Promise.all(nodes.map((node) => usage(node)));
const idle = await now();
let up = 0;
/** Connects one more, for good. */
const connect = () => {
  const network = `10.99.${up++}.0/24`;
  return client.ok([pvpnBinary(), "-t", "ssh-3", "root@server", network]);
};
const ONE = `exec 4< <(exec ${pvpnBinary()} -t ssh-3 root@server ${NETWORK})
  read -r -u 4 device _; ${readFirst()}; echo $device >/tmp/bench.device`;
const STOP = `${pvpnBinary()} -S $(cat /tmp/bench.device) >/dev/null`;
const rows: string[][] = [];
for (const count of counts) {
  while (up < count - 1) await connect();
  const times: number[][] = [[], [], []];
  for (let round = -1; round < rounds; round++) { // the first is not counted
    for (const [i, script] of [LOGIN, ONE, STOP].entries()) {
      const spent = await measure(lab, script);
      if (round >= 0) times[i]!.push(spent);
    }
  }
  const [floor = [], connecting = [], stopping = []] = times;
  let there = 0;
  const here = await started(client, async () => {
    there = await started(server, connect);
  });
  await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
  const memory = await now();
  const each = memory.flatMap(({ pss, own }, i) =>
    [pss - idle[i]!.pss, own - idle[i]!.own]
      .map((kib) => (kib / 1024 / count).toFixed(1))
  );
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const later = await now();
  const [cpu = 0, sleeps = 0] = (["cpu", "sleeps"] as const)
    .map((key) => (later[0]![key] - memory[0]![key]) / count);
  rows.push([
    String(count),
    quantile(connecting).toFixed(0),
    quantile(connecting.map((ms, i) => ms / floor[i]!)).toFixed(2),
    quantile(stopping).toFixed(0),
    ...[String(here), String(there)],
    ...each,
    ...[cpu, sleeps].map((figure) => figure.toFixed(1)),
  ]);
}
const all = await measure(lab, `${pvpnBinary()} -S >/dev/null`);
await print(
  `The last of so many tunnels, median of ${rounds} rounds, and what each ` +
    `does in ${seconds} s with nothing to carry; stopping all ${up} at once took ${
      (all / 1000).toFixed(1)
    } s:`,
  [
    ...["tunnels", "connect, ms", `× ${FLOOR}`, "stop, ms"],
    ...["processes started here", "there"],
    ...["MiB each here, PSS", "private", "there, PSS", "private"],
    ...["idle here: CPU, ms", "wake-ups"],
  ],
  rows,
);
