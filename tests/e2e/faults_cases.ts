/** A part of what `make faults` tries. */
import { assert, assertEquals } from "@std/assert";
import { report, run, stride, trialsOf, type Type } from "../faults/matrix.ts";
import { rootTest } from "../lab/suite.ts";

/** How much is tried. */
interface Share {
  /** How many trials. */
  readonly count: number;
  /** Whether pvpn's own writes are among them. */
  readonly traced?: boolean;
  /** How many at a time. */
  readonly labs?: number;
}

/** Tries some faults of all kinds. */
export function faultsTest(type: Type, { count, traced, labs }: Share): void {
  rootTest(
    `${type} leaves nothing when a step fails, or pvpn is killed at it`,
    async () => {
      const trials = stride(await trialsOf(type, traced), count);
      const results = await run(type, trials, undefined, labs);
      const failed = results.filter(({ error }) => error !== undefined);
      assertEquals(failed.map((result) => report(type, result)), []);
      const reached = results.filter(({ reached }) => reached).length;
      assert(reached > 0.8 * trials.length, `only ${reached}`);
    },
  );
}
