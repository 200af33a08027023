/**
 * What all that changes tunnels works with.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { PvpnError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import type { Log } from "./log.ts";
import type { Notify } from "./notify.ts";
import type { ProcessId } from "./process.ts";
import type { Registry } from "./registry.ts";
import type { StateDir } from "./state_dir.ts";
import type { Caller } from "./user.ts";

/** Where the work is done. */
export interface Environment {
  /** Runs commands. */
  readonly runner: Runner;
  /** Tells the user. */
  readonly log: Log;
  /** Whether what ssh says, and what the server runs, is shown. */
  readonly verbose: boolean;
  /** Where journals are. */
  readonly dir: StateDir;
  /** Gives the tunnel types, which are loaded where somebody asks for them. */
  readonly registry: () => Promise<Registry>;
  /** The pvpn binary, which keepers run to reconnect. */
  readonly program: string;
  /** Who is asked to end a tunnel that is held; this process without. */
  readonly owner?: ProcessId;
  /** Who typed sudo before it, if somebody did. */
  readonly caller?: Caller | undefined;
  /** Tells the service manager, if one has started this. */
  readonly notify: Notify;
  /** Ends the work; what was changed is undone. */
  readonly signal: AbortSignal;
}

/** A tunnel that is up, and still this process's. */
export interface Connected {
  /** Its journal. */
  readonly journal: Journal;
  /** Its keeper; none in a dry run, nor while what was taken over is down. */
  readonly keeper: Keeper | undefined;
  /** Lets go of the device's lock; `tidy` where nothing is left of it. */
  release(options?: { tidy?: boolean }): Promise<void>;
}

/** Undoes after a failure; a failure of the undo is told, not thrown. */
export async function rollBack(
  journal: Journal,
  { runner, log }: Environment,
): Promise<void> {
  try {
    await journal.close(runner);
  } catch (error) {
    if (!(error instanceof PvpnError)) throw error;
    log.error(error.message);
    for (const hint of error.hints) log.hint(hint);
  }
}
