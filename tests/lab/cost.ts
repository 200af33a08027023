/** What a machine of the lab spends: memory, and processes that it starts. */
import type { Node } from "./lab.ts";

/** A number by its name in a file of /proc. */
const valueOf = (text: string, key: string) =>
  Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]);

/** Of some processes together. */
export interface Usage {
  /** Resident memory in KiB, what they share counted for each (RSS). */
  readonly rss: number;
  /** Resident memory in KiB, what they share counted in parts (PSS). */
  readonly pss: number;
  /** What is theirs alone, and is free when they end, in KiB. */
  readonly own: number;
  /** Milliseconds of a processor that they have had. */
  readonly cpu: number;
  /** How often they have slept, each time to be woken up. */
  readonly sleeps: number;
}

/** The processes of a machine, but the lab's. */
export async function pidsOf(node: Node): Promise<number[]> {
  return (await node.processes()).map(({ pid }) => pid);
}

/**
 * Of processes that run; all without `pids`. For one thread each: see proc(5)
 * for smaps_rollup and status, and Documentation/scheduler/sched-stats.rst of
 * Linux for schedstat.
 *
 * @throws {Deno.errors.NotFound} Where one has ended.
 */
export async function usage(
  node: Node,
  pids?: readonly number[],
): Promise<Usage> {
  const which = pids ?? await pidsOf(node);
  const all = await Promise.all(which.map(async (pid) => {
    const read = (name: string) => node.readFile(`/proc/${pid}/${name}`);
    const files = ["smaps_rollup", "status", "schedstat"].map(read);
    const [memory = "", status = "", sched = ""] = await Promise.all(files);
    return {
      rss: valueOf(memory, "Rss"),
      pss: valueOf(memory, "Pss"),
      own: valueOf(memory, "Private_Clean") + valueOf(memory, "Private_Dirty"),
      cpu: Number(sched.split(" ")[0]) / 1e6,
      sleeps: valueOf(status, "voluntary_ctxt_switches"),
    };
  }));
  const sum = (key: keyof Usage) =>
    all.map((one) => one[key]).reduce((a, b) => a + b, 0);
  return {
    ...{ rss: sum("rss"), pss: sum("pss"), own: sum("own") },
    ...{ cpu: sum("cpu"), sleeps: sum("sleeps") },
  };
}

/**
 * How many processes and threads a machine starts while something is done.
 * Machines inside of others have their count in common.
 */
export async function started(
  node: Node,
  body: () => Promise<unknown>,
): Promise<number> {
  // The last pid that was given, in the namespace of who reads it: proc(5).
  const last = async () =>
    Number((await node.ok(["cat", "/proc/loadavg"])).trim().split(" ")[4]);
  const before = await last();
  await body();
  return await last() - before - 1; // which was cat
}
