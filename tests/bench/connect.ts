/**
 * How long from the start to the first byte from the far end, as a ratio to
 * `ssh HOST true`: all ways in turn, in one loop, so that a change in the
 * machine's speed changes all of them. Prints Markdown.
 *
 * Usage: deno run -A tests/bench/connect.ts [ROUNDS]
 */
import { ADDRESS, Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";

const READ = `exec 3<>/dev/tcp/${ADDRESS.inet}/5200 && read -r -u 3 _`;
const NETWORK = "10.88.0.0/24";

/** The ways: a bash script to measure, and one to clean up after it. */
const WAYS: Readonly<Record<string, { run: string; after?: string }>> = {
  "`ssh HOST true`": { run: "ssh root@server true" },
  "hand-made `ssh -w` script": {
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
  },
  "pvpn -t ssh-3": {
    run: `exec 4< <(exec ${pvpnBinary()} -t ssh-3 root@server ${NETWORK})
      read -r -u 4 _; ${READ}`,
    // It may still be ending; -S waits for its lock.
    after: `${pvpnBinary()} -S >/dev/null`,
  },
};

/** The middle value. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Milliseconds that a script takes on the client, measured there. */
async function measure(lab: Lab, script: string): Promise<number> {
  const timed = `s=$EPOCHREALTIME\n${script}\ne=$EPOCHREALTIME
    [ $? = 0 ] && echo $(( (\${e/./} - \${s/./}) ))`;
  return Number(await lab.client.ok(["bash", "-c", timed])) / 1000;
}

const rounds = Number(Deno.args[0] ?? 15);
await using lab = await Lab.up();
const times = new Map<string, number[]>();
for (let round = -1; round < rounds; round++) { // the first one is not counted
  for (const [name, { run, after }] of Object.entries(WAYS)) {
    const spent = await measure(lab, run);
    if (after !== undefined) await lab.client.ok(["bash", "-c", after]);
    if (round >= 0) times.set(name, [...times.get(name) ?? [], spent]);
  }
}
const [floor = []] = times.values();
const rows = [...times].map(([name, all]) => {
  const ratio = median(all.map((spent, i) => spent / (floor[i] ?? NaN)));
  return `| ${name} | ${median(all).toFixed(0)} | ${ratio.toFixed(2)} |`;
});
const table = [
  `From start to first byte, median of ${rounds} interleaved rounds:`,
  "",
  "| way | ms | × `ssh HOST true` |",
  "|---|---|---|",
  ...rows,
  "",
].join("\n");
await Deno.stdout.write(new TextEncoder().encode(table));
