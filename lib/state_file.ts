/**
 * The files that state is kept in: only root's own are believed, and a disk
 * that does not take them is told in words.
 *
 * @module
 */
import { ExitCode, PvpnError } from "./errors.ts";

/** More than any state has, in bytes. */
const MAX_SIZE = 2 ** 20;

/** A full or read-only file system. */
export class WriteError extends PvpnError {
  /** The class's name. */
  override readonly name = "WriteError";
}

/** The error of a file that could not be written. */
export function cannotWrite(path: string, cause: unknown): WriteError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new WriteError(ExitCode.state, `cannot write ${path}: ${why}`, [
    "nothing is changed that cannot be written down before; " +
    "see: df /run; df -i /run",
  ], { cause });
}

/** Removes a file, or an empty folder, if it is there. */
export async function removeOwn(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    const why = error instanceof Error ? error.message : String(error);
    throw new PvpnError(ExitCode.state, `${path} is still there: ${why}`, [
      `see whether it may be written to: findmnt -T ${path}; ` +
      "then do the same again",
    ], { cause: error });
  }
}

/** Whether there is no room, or not for one more file. */
export function isFull(error: unknown): boolean {
  return (error as { code?: string }).code === "ENOSPC";
}

/** Passes over a lack of room; throws all other errors on. */
export function unlessFull(error: unknown): void {
  if (!(error instanceof WriteError)) throw error;
}

/**
 * Reads a state file.
 *
 * @returns `undefined` where there is none.
 * @throws {PvpnError} Where it is no file of this user's alone, or none that
 * pvpn would write: it says what is undone with root's rights.
 */
export async function readOwn(
  path: string,
  device: string,
): Promise<string | undefined> {
  const broken = (why: string, cause?: unknown) =>
    new PvpnError(
      ExitCode.state,
      `the state of "${device}" ${why}`,
      [`look at what it is: ls -ld ${path}`],
      { cause },
    );
  try {
    // The folder is root's alone, so that nobody changes it in between.
    const { isFile, uid, mode, size } = await Deno.lstat(path);
    if (!isFile) throw broken("is not in a file");
    if (uid !== Deno.uid() || (mode! & 0o022) !== 0) {
      throw broken("could have been written by others than root");
    }
    if (size > MAX_SIZE) throw broken(`has over ${MAX_SIZE} bytes`);
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof PvpnError || !(error instanceof Error)) throw error;
    throw broken(`cannot be read: ${error.message}`, error);
  }
}
