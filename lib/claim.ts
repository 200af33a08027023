/**
 * Claims a device, a number and a journal for a new tunnel; and clears away
 * what dead runs have left.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { Journal, type StateDir } from "./journal.ts";
import type { Lock } from "./lock.ts";
import type { Log } from "./log.ts";
import { alive, type ProcessId } from "./process.ts";
import type { RoutingTable } from "./routing_table.ts";
import { SLOTS, tableOf } from "./route_numbers.ts";
import { routesOf, type TunnelState } from "./state.ts";

/** A tunnel that is this process's to bring up. */
export interface Claim {
  /** Its journal. */
  readonly journal: Journal;
  /** The lock of its device. */
  readonly lock: Lock;
}

/** What a claimed tunnel's journal starts with. */
export type NewTunnel = Omit<TunnelState, "device" | "slot" | "undo">;

/**
 * Claims a device whose name starts with `prefix`.
 *
 * @throws {PvpnError} Where another tunnel has the default route already, or
 * an address that is asked for, or nothing is free.
 */
export async function claim(
  tunnel: NewTunnel,
  prefix: string,
  routing: RoutingTable,
  dir: StateDir,
): Promise<Claim> {
  const all = await dir.lock();
  try {
    const others = await dir.states();
    refuseConflicts(tunnel, others);
    const device = await freeDevice(prefix, others);
    // Whoever has it is about to let it go: the device has no journal.
    const lock = (await dir.lockDevice(device, { wait: true }))!;
    try {
      const slot = freeSlot(others, routing);
      const journal = new Journal(dir, { ...tunnel, device, slot, undo: [] });
      await journal.update({});
      return { journal, lock };
    } catch (error) {
      await lock.release();
      throw error;
    }
  } finally {
    await all.release();
  }
}

/** A claim that leaves no trace, for a dry run. */
export async function pretend(
  tunnel: NewTunnel,
  prefix: string,
  routing: RoutingTable,
  dir: StateDir,
): Promise<Journal> {
  // Only root may see what others there are.
  const others = Deno.uid() === 0 ? await dir.states() : [];
  refuseConflicts(tunnel, others);
  const device = await freeDevice(prefix, others);
  const slot = freeSlot(others, routing);
  return new Journal(undefined, { ...tunnel, device, slot, undo: [] });
}

function refuseConflicts(
  tunnel: NewTunnel,
  others: readonly TunnelState[],
): void {
  const halves = (state: NewTunnel) =>
    (state.pair ?? "").split(":").filter((half) => half && half !== "any");
  for (const half of halves(tunnel)) {
    const other = others.find((state) => halves(state).includes(half));
    if (other === undefined) continue;
    throw new PvpnError(
      ExitCode.network,
      `the address ${half} is that of the tunnel "${other.device}"`,
      ["choose another pair with -i, or let one be chosen: -i any:any"],
    );
  }
  for (const route of tunnel.routes) {
    const other = others.find((state) => routesOf(state).includes(route));
    if (other === undefined) continue;
    const what = route === "default"
      ? "the default route"
      : `the route ${route}`;
    throw new PvpnError(
      ExitCode.network,
      `"${other.device}" has ${what} already`,
      [`stop it first: pvpn -S ${other.device}`],
    );
  }
}

async function freeDevice(
  prefix: string,
  others: readonly TunnelState[],
): Promise<string> {
  const used = new Set(others.map(({ device }) => device));
  for await (const { name } of Deno.readDir("/sys/class/net")) used.add(name);
  for (let unit = 0;; unit++) {
    if (!used.has(`${prefix}${unit}`)) return `${prefix}${unit}`;
  }
}

function freeSlot(
  others: readonly TunnelState[],
  routing: RoutingTable,
): number {
  const used = new Set(others.map(({ slot }) => slot));
  for (let slot = 0; slot < SLOTS; slot++) {
    if (!used.has(slot) && !routing.tables.has(String(tableOf(slot)))) {
      return slot;
    }
  }
  throw new PvpnError(ExitCode.network, `${SLOTS} tunnels are up already`, [
    "stop one of them: pvpn -S DEVICE",
  ]);
}

/** A device that nobody is at work on, and what its journal says. */
interface Idle {
  readonly device: string;
  readonly lock: Lock;
  readonly state: TunnelState | undefined;
}

/**
 * Undoes what died while it was connecting, and removes stray files. A tunnel
 * that was up and has died holds its routes closed, until somebody says that
 * they may open; one that somebody is at work on, or that is up, is left alone.
 *
 * @param wanted Whether the caller takes a tunnel over that has died.
 * @returns The first that it does, with its lock.
 */
export async function recover(
  dir: StateDir,
  runner: Runner,
  log: Log,
  wanted: (state: TunnelState) => boolean = () => false,
): Promise<Claim | undefined> {
  const idle: Idle[] = [];
  let found: Claim | undefined;
  let done = false;
  try {
    for (const device of await dir.files()) {
      const lock = await dir.lockDevice(device, { wait: false });
      if (lock === undefined) continue;
      idle.push({ device, lock, state: await readLocked(device, lock, dir) });
    }
    const running = await alive(runner, idle.flatMap(keepers));
    for (const one of idle) {
      const { device, state } = one;
      if (keepers(one).some(({ pid }) => running.has(pid))) continue;
      if (state !== undefined && state.phase !== "connecting") {
        if (found === undefined && wanted(state)) {
          found = { journal: new Journal(dir, state), lock: one.lock };
          continue;
        }
        log.warn(
          `"${device}" has died, and holds its routes closed; ` +
            `to open them: pvpn -S ${device}`,
        );
        continue;
      }
      await dir.discard(device, state, runner);
      if (state !== undefined) {
        log.warn(`undid what a dead run of pvpn had left of "${device}"`);
      }
    }
    done = true;
    return found;
  } finally {
    for (const { lock } of idle) {
      if (!done || lock !== found?.lock) await lock.release();
    }
  }
}

async function readLocked(
  device: string,
  lock: Lock,
  dir: StateDir,
): Promise<TunnelState | undefined> {
  try {
    return await dir.read(device);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Who looks after a tunnel whose lock is free; one that is not up has none. */
function keepers({ state }: Idle): ProcessId[] {
  if (state?.phase !== "up" || state.owner !== undefined) return [];
  return state.undo.filter((step) => step.kind === "process");
}
