/**
 * One TCP stream each way through each tunnel type, beside it a ping, and what
 * it costs: types in turn, in one loop, so that a change in the machine's speed
 * changes all of them. The ratios are of one round each. Prints Markdown.
 * Needs iperf3: `tools/deps bench`.
 *
 * Usage: deno run -A tests/bench/throughput.ts [ROUNDS [SECONDS]]
 */
import { ADDRESS, Lab, type Node } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { NETWORK, print, quantile } from "./measure.ts";

const TYPES = ["ssh-3", "ssh-gso"] as const;
const WAYS = ["up", "down"] as const;
/** What carries a tunnel; what makes the load is not counted. */
const CARRIERS = /^(?:ssh|sshd|sshd-session|pvpn-pump.*|sh)$/;

/** Of one stream. */
interface Sample {
  /** Mbit/s. */
  readonly rate: number;
  /** Milliseconds, of the ping beside it. */
  readonly rtt: number;
  /** Seconds of all processors, on the client and on the server, a GB. */
  readonly cpu: readonly [number, number];
}

/** Seconds that what carries tunnels has had, user and system. */
async function spent(node: Node): Promise<number> {
  let ticks = 0;
  for (const { pid, comm } of await node.processes()) {
    if (!CARRIERS.test(comm)) continue;
    const stat = await node.readFile(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100; // USER_HZ
}

/** The mean of a ping's round trips. */
function meanOf(text: string): number {
  return Number(/= [\d.]+\/([\d.]+)\//.exec(text)?.[1]);
}

async function stream(
  { client, server }: Lab,
  way: typeof WAYS[number],
  seconds: number,
): Promise<Sample> {
  const nodes = [client, server] as const;
  const before = await Promise.all(nodes.map(spent));
  const words = ["-J", "-c", ADDRESS.inet, "-t", `${seconds}`];
  const ping = ["ping", "-n", "-q", "-i0.02", "-w", `${seconds}`, ADDRESS.inet];
  const [text, pinged] = await Promise.all([
    client.ok(["iperf3", ...words, ...way === "down" ? ["-R"] : []]),
    client.run(ping),
  ]);
  const after = await Promise.all(nodes.map(spent));
  const { bits_per_second, bytes } = JSON.parse(text).end.sum_received;
  const cost = (i: number) => (after[i]! - before[i]!) / (bytes / 1e9);
  return {
    rate: bits_per_second / 1e6,
    rtt: meanOf(pinged.stdout),
    cpu: [cost(0), cost(1)],
  };
}

const rounds = Number(Deno.args[0] ?? 7);
const seconds = Number(Deno.args[1] ?? 4);
await using lab = await Lab.up({ jump: false });
const { client, inet } = lab;
const iperf = inet.own(inet.spawn(["iperf3", "-s", "--forceflush"]));
const listening = iperf.stdout.getReader();
if ((await listening.read()).done) throw new Error("iperf3 does not start");
const drained = (async () => {
  while (!(await listening.read()).done);
})();
const samples = new Map<string, Sample[]>();
const idle = new Map<string, number[]>();
for (let round = -1; round < rounds; round++) { // the first is not counted
  for (const type of TYPES) {
    const { code, stderr } = await pvpn(lab, [
      ...["-t", type, "root@server", NETWORK],
    ]);
    if (code !== 0) throw new Error(stderr);
    const ping = ["ping", "-n", "-q", "-i0.02", "-c50", ADDRESS.inet];
    const still = meanOf(await client.ok(ping));
    if (round >= 0) idle.set(type, [...idle.get(type) ?? [], still]);
    for (const way of WAYS) {
      const sample = await stream(lab, way, seconds);
      const key = `${type} ${way}`;
      if (round >= 0) samples.set(key, [...samples.get(key) ?? [], sample]);
    }
    await pvpn(lab, ["-S"]);
  }
}
iperf.kill("SIGTERM");
await Promise.all([iperf.status, drained]);

const [floor] = TYPES;
const rows = WAYS.flatMap((way) =>
  TYPES.map((type) => {
    const all = samples.get(`${type} ${way}`) ?? [];
    const others = samples.get(`${floor} ${way}`) ?? [];
    const of = (value: (sample: Sample) => number, digits: number) => {
      const middle = quantile(all.map(value));
      const ratio = quantile(
        all.map((sample, i) => value(sample) / value(others[i]!)),
      );
      return `${middle.toFixed(digits)} (${ratio.toFixed(2)})`;
    };
    return [
      `${type}, ${way}`,
      of(({ rate }) => rate, 0),
      of(({ rtt }) => rtt, 1),
      quantile(idle.get(type) ?? []).toFixed(2),
      of(({ cpu }) => cpu[0], 2),
      of(({ cpu }) => cpu[1], 2),
    ];
  })
);
await print(
  `One TCP stream of ${seconds} s to a host behind the server; medians of ` +
    `${rounds} interleaved rounds, and of their ratios to ${floor}:`,
  [
    "type",
    "Mbit/s",
    "RTT beside it, ms",
    "RTT idle, ms",
    "CPU s/GB here",
    "CPU s/GB there",
  ],
  rows,
);
