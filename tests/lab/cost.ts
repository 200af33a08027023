/** What a machine of the lab spends: memory, and processes that it starts. */
import type { Node } from "./lab.ts";

/** Memory of some processes, in KiB; see proc(5), smaps_rollup. */
export interface Memory {
  /** What they have; of what they share with others, their part (PSS). */
  readonly shared: number;
  /** What is theirs alone, and is free when they end. */
  readonly own: number;
}

/** A number by its name in a file of /proc. */
const valueOf = (text: string, key: string) =>
  Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]);

/** The memory of all processes of a machine but the lab's. */
export async function memoryOf(node: Node): Promise<Memory> {
  let [shared, own] = [0, 0];
  for (const { pid } of await node.processes()) {
    const text = await node.readFile(`/proc/${pid}/smaps_rollup`);
    shared += valueOf(text, "Pss");
    own += valueOf(text, "Private_Clean") + valueOf(text, "Private_Dirty");
  }
  return { shared, own };
}

/** Of some processes together. */
export interface Usage {
  /** Resident memory in KiB, what they share counted for each (RSS). */
  readonly rss: number;
  /** Resident memory in KiB, what they share counted in parts (PSS). */
  readonly pss: number;
  /** Milliseconds of a processor that they have had. */
  readonly cpu: number;
  /** How often they have slept, each time to be woken up. */
  readonly sleeps: number;
}

/**
 * Of processes that run. For one thread each: see proc(5) for smaps_rollup and
 * status, and Documentation/scheduler/sched-stats.rst of Linux for schedstat.
 *
 * @throws {Deno.errors.NotFound} Where one has ended.
 */
export async function usage(
  node: Node,
  pids: readonly number[],
): Promise<Usage> {
  const all = await Promise.all(pids.map(async (pid) => {
    const read = (name: string) => node.readFile(`/proc/${pid}/${name}`);
    const files = ["smaps_rollup", "status", "schedstat"].map(read);
    const [memory = "", status = "", sched = ""] = await Promise.all(files);
    return {
      rss: valueOf(memory, "Rss"),
      pss: valueOf(memory, "Pss"),
      cpu: Number(sched.split(" ")[0]) / 1e6,
      sleeps: valueOf(status, "voluntary_ctxt_switches"),
    };
  }));
  const sum = (key: keyof Usage) =>
    all.map((one) => one[key]).reduce((a, b) => a + b, 0);
  return {
    ...{ rss: sum("rss"), pss: sum("pss") },
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
