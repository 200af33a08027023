/** Load on the way to the far end, what it takes, and what it costs. */
import type { Lab, Node } from "../lab/lab.ts";
import { readFirst } from "./measure.ts";
import type { Peer } from "./peers.ts";

/**
 * A server of iperf3 at the far end, until it is disposed of. One for each load:
 * where the end of one is lost, its server takes it to be going on.
 */
async function serveLoad({ inet }: Lab): Promise<AsyncDisposable> {
  const iperf = inet.own(
    inet.spawn(["iperf3", "-s", "--forceflush"], { stderr: "null" }),
  );
  const reader = iperf.stdout.getReader();
  if ((await reader.read()).done) throw new Error("iperf3 does not start");
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    async [Symbol.asyncDispose]() {
      iperf.kill("SIGTERM");
      await Promise.all([iperf.status, drained]);
    },
  };
}

/**
 * How long a byte takes there and back, in milliseconds, again and again, 20 ms
 * after each answer: over TCP, for not all peers carry a ping.
 */
export async function roundTrips(
  lab: Lab,
  peer: Peer,
  seconds: number,
): Promise<number[]> {
  const script = `${readFirst(peer.address)}; read -r -u 3 _; exec 5<> <(:)
    end=$(( \${EPOCHREALTIME/./} + ${seconds} * 1000000 ))
    while start=\${EPOCHREALTIME/./}; (( start < end )); do
      echo >&3; read -r -t 30 -u 3 _ || exit
      echo $(( \${EPOCHREALTIME/./} - start )); read -t 0.02 -u 5
    done; true`;
  const text = await lab.client.ok(["bash", "-c", script]);
  return text.trim().split("\n").map((us) => Number(us) / 1000);
}

/** What makes the load and measures it; all else carries it. */
const LOAD = /^(?:iperf3|bash)$/;

/** Seconds that what carries has had, user and system. */
async function spent(node: Node): Promise<number> {
  return (await node.processes()).filter(({ comm }) => !LOAD.test(comm))
    .reduce((sum, { cpu }) => sum + cpu, 0);
}

/** Which way, and how many streams at once. */
export interface Load {
  readonly way: "up" | "down";
  readonly streams: number;
  readonly seconds: number;
}

/** Of one load. */
export interface Sample {
  /** Mbit/s, of all streams together. */
  readonly rate: number;
  /** Milliseconds, of bytes beside it. */
  readonly trips: readonly number[];
  /** Seconds of all processors, on the client and on the server, a GB. */
  readonly cpu: readonly [number, number];
}

/** Runs iperf3 on the client; what it has to say of what has arrived. */
async function iperf(
  lab: Lab,
  address: string,
  { way, streams, seconds }: Load,
): Promise<{ bits_per_second: number; bytes: number }> {
  await using _ = await serveLoad(lab);
  const { stdout } = await lab.client.run([
    ...["iperf3", "-J", "-c", address, "-t", `${seconds}`],
    ...["-P", `${streams}`, ...way === "down" ? ["-R"] : []],
  ]);
  const { end, error } = JSON.parse(stdout);
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  return end.sum_received;
}

/** Puts a load on a peer that is connected. */
export async function load(
  lab: Lab,
  peer: Peer,
  of: Load,
): Promise<Sample> {
  const nodes = [lab.client, lab.server] as const;
  const before = await Promise.all(nodes.map(spent));
  const [{ bits_per_second, bytes }, trips] = await Promise.all([
    iperf(lab, peer.address, of),
    roundTrips(lab, peer, of.seconds),
  ]);
  const after = await Promise.all(nodes.map(spent));
  const cost = (i: number) => (after[i]! - before[i]!) / (bytes / 1e9);
  return { rate: bits_per_second / 1e6, trips, cpu: [cost(0), cost(1)] };
}
