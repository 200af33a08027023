/**
 * What a tunnel costs where others are up: the time to connect it, up to the
 * first byte, as a ratio to `ssh HOST true` in the same loop, and to stop it;
 * the processes that are started for it, and its memory, on both ends. Prints
 * Markdown.
 *
 * Usage: deno run -A tests/bench/scale.ts [MOST [ROUNDS]]
 */
import { memoryOf, started } from "../lab/cost.ts";
import { answerAll } from "../lab/crowd.ts";
import { Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
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
const counts = [1, 10, 30, 100, 200].filter((count) => count <= most);

await using lab = await Lab.up({ jump: false });
const { client, server } = lab;
await answerAll(server);
const nodes = [client, server];
const idle = await Promise.all(nodes.map(memoryOf));
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
  const memory = await Promise.all(nodes.map(memoryOf));
  const each = memory.flatMap(({ shared, own }, i) =>
    [shared - idle[i]!.shared, own - idle[i]!.own]
      .map((kib) => (kib / 1024 / count).toFixed(1))
  );
  rows.push([
    String(count),
    quantile(connecting).toFixed(0),
    quantile(connecting.map((ms, i) => ms / floor[i]!)).toFixed(2),
    quantile(stopping).toFixed(0),
    ...[String(here), String(there)],
    ...each,
  ]);
}
const all = await measure(lab, `${pvpnBinary()} -S >/dev/null`);
await print(
  `The last of so many tunnels, median of ${rounds} rounds; ` +
    `stopping all ${up} at once took ${(all / 1000).toFixed(1)} s:`,
  [
    ...["tunnels", "connect, ms", `× ${FLOOR}`, "stop, ms"],
    ...["processes started here", "there"],
    ...["MiB each here, PSS", "private", "there, PSS", "private"],
  ],
  rows,
);
