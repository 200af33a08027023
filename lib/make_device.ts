/**
 * Makes a device, and records before how it is deleted.
 *
 * @module
 */
import { applyIp, IpError, type IpLine } from "./link.ts";
import type { UndoStep } from "./undo_step.ts";
import type { UpRequest } from "./up.ts";

/**
 * Records how a device is undone, then runs the lines that make it in one
 * `ip -batch`; the first makes what is undone.
 *
 * @param options `keep`: what is there already is no failure (reconnecting).
 * @throws {PvpnError} What failed.
 */
export async function makeDevice(
  { journal, runner }: Pick<UpRequest, "journal" | "runner">,
  undo: readonly UndoStep[],
  lines: readonly IpLine[],
  options: { keep?: boolean } = {},
): Promise<void> {
  await journal.record(...undo);
  try {
    await applyIp(4, lines, runner, options);
  } catch (error) {
    // Without the first line, there is nothing.
    if (error instanceof IpError && error.missed.includes(lines[0]!)) {
      await journal.update({
        undo: journal.state.undo.filter((step) => !undo.includes(step)),
      });
    }
    throw error;
  }
}
