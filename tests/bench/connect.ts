/**
 * How long from the start to the first byte from the far end, as a ratio to
 * `ssh HOST true`: all ways in turn, in one loop, so that a change in the
 * machine's speed changes all of them. Prints Markdown.
 *
 * Usage: deno run -A tests/bench/connect.ts [ROUNDS]
 */
import { Lab } from "../lab/lab.ts";
import {
  FLOOR,
  measure,
  NETWORK,
  print,
  quantile,
  READ,
  tunnel,
  type Way,
} from "./measure.ts";

const WAYS: readonly (readonly [string, Way])[] = [
  FLOOR,
  ["hand-made `ssh -w` script", {
    // One login, everything that can be done at the same time is.
    run: `
      ip tuntap add dev tun9 mode tun
      printf '%s\\n' 'addr add 10.66.0.1 peer 10.66.0.2 dev tun9' \
        'link set tun9 up' 'route add ${NETWORK} via 10.66.0.2' | ip -batch -
      exec 4< <(exec ssh -T -oExitOnForwardFailure=yes -w 9:any root@server '
        ip addr add 10.66.0.2 peer 10.66.0.1 dev $SSH_TUNNEL
        ip link set $SSH_TUNNEL up; echo ready; cat >/dev/null' 2>/dev/null)
      pid=$!; read -r -u 4 _; ${READ}; echo $pid >/tmp/bench.pid`,
    after: "kill $(cat /tmp/bench.pid); ip link del tun9; rm /tmp/bench.pid",
  }],
  ["pvpn -t ssh-3", tunnel("ssh-3")],
];

const rounds = Number(Deno.args[0] ?? 15);
await using lab = await Lab.up();
const times = new Map<string, number[]>();
for (let round = -1; round < rounds; round++) { // the first one is not counted
  for (const [name, { run, after }] of WAYS) {
    const spent = await measure(lab, run);
    if (after !== undefined) await lab.client.ok(["bash", "-c", after]);
    if (round >= 0) times.set(name, [...times.get(name) ?? [], spent]);
  }
}
const [floor = []] = times.values();
const rows = [...times].map(([name, all]) => {
  const ratio = quantile(all.map((spent, i) => spent / (floor[i] ?? NaN)));
  return [name, quantile(all).toFixed(0), ratio.toFixed(2)];
});
await print(
  `From start to first byte, median of ${rounds} interleaved rounds:`,
  ["way", "ms", "× `ssh HOST true`"],
  rows,
);
