/**
 * Undo of what is done for names: a kind of step of its own.
 *
 * @module
 */
import type { Argv, Runner } from "./command.ts";
import type { Log } from "./log.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { RESTORE_LEFT_SCRIPT, RESTORE_SCRIPT } from "./resolv_file.ts";

/** Who has a say in where this machine's programs ask for names. */
export type Owner = "resolved" | "openresolv" | "file";

/** All of them. */
export const OWNERS: readonly Owner[] = ["resolved", "openresolv", "file"];

/** Takes back what was done for names. */
export interface ResolverStep {
  /** The step's kind. */
  readonly kind: "resolver";
  /** Who was told of the tunnel's resolvers, or that all others are closed. */
  readonly owner: Owner | "guard";
  /** The tunnel's device, by which it is known. */
  readonly device: string;
}

/** Reads a step from a state file; `undefined` where it is none. */
export function parseResolverStep(
  step: Readonly<Record<string, unknown>>,
): ResolverStep | undefined {
  const { owner, device } = step;
  const known = [...OWNERS, "guard" as const].find((name) => name === owner);
  if (known === undefined || typeof device !== "string") return undefined;
  if (!DEVICE_REGEXP.test(device)) return undefined;
  return { kind: "resolver", owner: known, device };
}

/** The name of a tunnel's table in nftables. */
export function guardTable(device: string): string {
  return `inet pvpn-${device}`;
}

/** The device that refuses names while the tunnel's is down. */
export function closedLink(device: string): string {
  return `${device}-dns`;
}

/** Under which name openresolv knows a tunnel's resolvers. */
export function recordName(device: string): string {
  return `${device}.pvpn`;
}

// openresolv leaves the folder that it makes for the first exclusive record.
const FORGET_SCRIPT = `
resolvconf -f -d "$1" || exit
rmdir /run/resolvconf/exclusive 2>/dev/null || :
`.trim();

/**
 * Takes a step back; what is already gone is no failure.
 *
 * @throws {PvpnError} Why it could not be taken back.
 */
export async function undoResolver(
  { owner, device }: ResolverStep,
  runner: Runner,
): Promise<void> {
  switch (owner) {
    case "file":
      await runner.change(["sh", "-c", RESTORE_SCRIPT, "pvpn", device]);
      return;
    case "openresolv":
      await runner.change([
        "sh",
        "-c",
        FORGET_SCRIPT,
        "pvpn",
        recordName(device),
      ]);
      return;
    case "guard": {
      // Added first, so that there is one to delete.
      const table = guardTable(device);
      const input = `add table ${table}\ndelete table ${table}\n`;
      await runner.change(["nft", "-f", "-"], { input });
      return;
    }
    case "resolved": {
      // It forgets all by itself when the device goes, which is next: no
      // failure of this can leave anything.
      const argv: Argv = ["resolvectl", "revert", device];
      await runner.change(argv, { anyStatus: true });
      return;
    }
  }
}

/** Puts back /etc/resolv.conf where a loss of power has left a tunnel's. */
export async function restoreLeft(runner: Runner, log: Log): Promise<void> {
  const argv = ["sh", "-c", RESTORE_LEFT_SCRIPT, "pvpn"];
  const { stdout } = await runner.change(argv);
  if (stdout.trim() === "") return;
  log.warn("put back /etc/resolv.conf, as it was before the machine went down");
}
