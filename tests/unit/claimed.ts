/** Tunnels that have been claimed, for tests. */
import { type Chooser, claim, type NewTunnel } from "../../lib/claim.ts";
import { candidatePairs } from "../../lib/pair.ts";
import type { RoutingTable } from "../../lib/routing_table.ts";
import type { TunnelState } from "../../lib/state.ts";
import { withDir } from "./helpers.ts";
import { NEW } from "./sample_state.ts";
import { StateDir } from "../../lib/state_dir.ts";

const { device: _, slot: __, undo: ___, ...tunnel } = NEW;
/** A tunnel that is to be. */
export const TUNNEL: NewTunnel = tunnel;
/** No machine has devices of this name. */
export const PREFIX = "pvpntest";
/** A machine without routes. */
export const FREE: RoutingTable = {
  ...{ taken: [], main: [], ipv6: false, tables: new Set() },
};

/** Draws pairs. */
export const PAIRS: Chooser = (reserved) =>
  candidatePairs({ local: "any", peer: "any" }, [], reserved);

/** Lends a folder for journals. */
export const withState = (use: (dir: StateDir) => Promise<void>) =>
  withDir((path) => use(new StateDir(`${path}/state`)));

/** Claims a tunnel, and lets go of its lock. */
export async function claimed(
  dir: StateDir,
  more: Partial<TunnelState> = {},
  routing = FREE,
): Promise<TunnelState> {
  const { journal, lock } = await claim(
    { ...TUNNEL, ...more },
    PREFIX,
    routing,
    dir,
    PAIRS,
  );
  await journal.update(more.undo === undefined ? {} : { undo: more.undo });
  await lock.release();
  return journal.state;
}
