/**
 * Claims a device, a number and a journal for a new tunnel; and clears away
 * what dead runs have left.
 *
 * @module
 */
import { parsePrefix, type Prefix } from "./address.ts";
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { Journal } from "./journal.ts";
import type { Lock } from "./lock.ts";
import type { Log } from "./log.ts";
import { formatPair, type Pair } from "./pair.ts";
import { alive, type ProcessId } from "./process.ts";
import type { RoutingTable } from "./routing_table.ts";
import { SLOTS, tableOf } from "./route_numbers.ts";
import { isTransient, routesOf, type TunnelState } from "./state.ts";
import type { StateDir } from "./state_dir.ts";

/** A tunnel that is this process's to bring up. */
export interface Claim {
  /** Its journal. */
  readonly journal: Journal;
  /** The lock of its device. */
  readonly lock: Lock;
}

/** A claim of a tunnel that is new. */
export interface NewClaim extends Claim {
  /** The pairs that its server may choose from. */
  readonly pairs: readonly Pair[];
}

/** What a claimed tunnel's journal starts with. */
export type NewTunnel = Omit<
  TunnelState,
  "device" | "slot" | "pairs" | "undo"
>;

/** Chooses the pairs that a server may choose from, but none of `reserved`. */
export type Chooser = (reserved: readonly Prefix[]) => Pair[];

/**
 * Claims a device whose name starts with `prefix`, and pairs that no tunnel
 * which is being connected may get.
 *
 * @throws {PvpnError} Where another tunnel has the default route already, or
 * an address that is asked for, or nothing is free.
 */
export async function claim(
  tunnel: NewTunnel,
  prefix: string,
  routing: RoutingTable,
  dir: StateDir,
  choose: Chooser,
): Promise<NewClaim> {
  const all = await dir.lock();
  let done = false;
  try {
    const others = await dir.states();
    const pairs = choose(reservedBy(others));
    refuseConflicts(tunnel, others);
    const device = await freeDevice(prefix, others);
    // Whoever has it is about to let it go: the device has no journal.
    const lock = (await dir.lockDevice(device, { wait: true }))!;
    try {
      const slot = freeSlot(others, routing);
      const reserved = { pairs: pairs.map(formatPair) };
      const state = { ...tunnel, ...reserved, device, slot, undo: [] };
      const journal = new Journal(dir, state);
      await journal.update({});
      done = true;
      return { journal, lock, pairs };
    } finally {
      if (!done) await lock.release();
    }
  } finally {
    await all.release();
    if (!done) await dir.tidy();
  }
}

/** A claim that leaves no trace, for a dry run. */
export async function pretend(
  tunnel: NewTunnel,
  prefix: string,
  routing: RoutingTable,
  dir: StateDir,
  choose: Chooser,
): Promise<Omit<NewClaim, "lock">> {
  // Only root may see what others there are.
  const others = Deno.uid() === 0 ? await dir.states() : [];
  const pairs = choose(reservedBy(others));
  refuseConflicts(tunnel, others);
  const device = await freeDevice(prefix, others);
  const slot = freeSlot(others, routing);
  const state = { ...tunnel, device, slot, undo: [] };
  return { journal: new Journal(undefined, state), pairs };
}

/** The addresses of others, which the routing table may not have shown yet. */
function reservedBy(others: readonly TunnelState[]): Prefix[] {
  return others.flatMap(({ pair = "", pairs = [] }) => [pair, ...pairs])
    .flatMap((pair) => pair.split(":"))
    .flatMap((half) => parsePrefix(half, 4) ?? []);
}

function refuseConflicts(
  tunnel: NewTunnel,
  others: readonly TunnelState[],
): void {
  const halves = (pair = "") =>
    pair.split(":").filter((half) => half && half !== "any");
  for (const half of halves(tunnel.pair)) {
    const other = others.find(({ pair, pairs = [] }) =>
      [pair, ...pairs].flatMap(halves).includes(half)
    );
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

/** What {@linkcode recover} found. */
export interface Recovered {
  /** The first that the caller takes over, with its lock. */
  readonly dead?: Claim;
  /** Whether something was undone, and this machine is not what it was. */
  readonly undid: boolean;
}

/**
 * Undoes what died while it was being connected or stopped, and removes stray
 * files. A tunnel that was up and has died holds its routes closed, until
 * somebody says that they may open; one that somebody is at work on, or that is
 * up, is left alone. A stop that fails once more is told of, no more.
 *
 * @param wanted Whether the caller takes a tunnel over that has died.
 */
export async function recover(
  dir: StateDir,
  runner: Runner,
  log: Log,
  wanted?: (state: TunnelState) => boolean,
): Promise<Recovered> {
  const idle: Idle[] = [];
  let dead: Claim | undefined;
  let undid = false;
  let done = false;
  try {
    for (const device of await dir.files()) {
      const undo = wanted === undefined;
      const lock = await dir.lockDevice(device, { wait: false, undo });
      if (lock === undefined) continue;
      idle.push({ device, lock, state: await readLocked(device, lock, dir) });
    }
    const running = await alive(runner, idle.flatMap(keepers));
    for (const one of idle) {
      const { device, state } = one;
      if (keepers(one).some(({ pid }) => running.has(pid))) continue;
      if (state !== undefined && !isTransient(state)) {
        if (dead === undefined && wanted?.(state)) {
          dead = { journal: new Journal(dir, state), lock: one.lock };
          continue;
        }
        log.warn(
          `"${device}" has died, and holds its routes closed; ` +
            `to open them: pvpn -S ${device}`,
        );
        continue;
      }
      try {
        await dir.discard(device, state, runner);
      } catch (error) {
        // A stop that fails is told to who stops, and holds up nobody else.
        if (state?.phase !== "stopping" || !(error instanceof PvpnError)) {
          throw error;
        }
        log.warn([error.message, ...error.hints].join("; "));
        continue;
      }
      if (state !== undefined) {
        undid = true;
        log.warn(`undid what a dead run of pvpn had left of "${device}"`);
      }
    }
    done = true;
    return { ...(dead === undefined ? {} : { dead }), undid };
  } finally {
    for (const { lock } of idle) {
      if (!done || lock !== dead?.lock) await lock.release();
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
