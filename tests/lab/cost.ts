/** What a machine of the lab spends: memory, and processes that it starts. */
import type { Node } from "./lab.ts";

/** Memory of some processes, in KiB; see proc(5), smaps_rollup. */
export interface Memory {
  /** What they have; of what they share with others, their part (PSS). */
  readonly shared: number;
  /** What is theirs alone, and is free when they end. */
  readonly own: number;
}

/** The memory of all processes of a machine but the lab's. */
export async function memoryOf(node: Node): Promise<Memory> {
  let [shared, own] = [0, 0];
  for (const { pid } of await node.processes()) {
    const path = `${node.root}/proc/${pid}/smaps_rollup`;
    const text = await Deno.readTextFile(path);
    const value = (key: string) =>
      Number(new RegExp(`^${key}: +(\\d+) kB$`, "m").exec(text)?.[1]);
    shared += value("Pss");
    own += value("Private_Clean") + value("Private_Dirty");
  }
  return { shared, own };
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
