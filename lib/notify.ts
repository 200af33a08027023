/**
 * Tells the service manager how a tunnel in the foreground stands: sd_notify(3),
 * by systemd-notify(1), since this program has no way to a socket of its own.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { PvpnError } from "./errors.ts";
import { type Log, printable } from "./log.ts";

/** What a service manager is told. */
export interface Notice {
  /** What is shown of the service: one line. */
  readonly status: string;
  /** That the service has started, or is about to end. */
  readonly event?: "READY=1" | "STOPPING=1";
}

/** Tells the service manager; a failure is told to the user, not thrown. */
export type Notify = (notice: Notice) => Promise<void>;

/**
 * Gives the way to the service manager.
 *
 * @param socket The value of `NOTIFY_SOCKET`, if there is one.
 * @param runner Runs systemd-notify; needs `NotifyAccess=all` in the unit.
 * @param log Tells the user what went wrong.
 */
export function notifier(
  socket: string | undefined,
  runner: Runner,
  log: Log,
): Notify {
  if (!socket) return () => Promise.resolve();
  return async ({ status, event }) => {
    const line = printable(status).replace(/\s+/g, " ").slice(0, 500);
    try {
      // In no other program's environment: only this one is to speak.
      await runner.change([
        ...["env", `NOTIFY_SOCKET=${socket}`, "systemd-notify"],
        ...[`--status=${line}`, ...(event === undefined ? [] : [event])],
      ]);
    } catch (error) {
      if (!(error instanceof PvpnError)) throw error;
      log.warn(`the service manager could not be told: ${error.message}`);
    }
  };
}
