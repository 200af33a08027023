/**
 * The numbers by which pvpn's routes and rules are known.
 *
 * @module
 */
import { bits, type Prefix } from "./address.ts";

// A tunnel's table is BASE + slot.
const BASE = 10000;
/** How many slots there are. */
export const SLOTS = 1000;

// Of a network's rules there are three: the ssh connection's step over it, the
// network itself, and where the step lands. Longer prefixes come first, as in
// a routing table; those of the default route come after all networks.
const DEFAULT_PRIORITY = 11000;
/** The priority of the rules that let this machine's own networks go first. */
export const SITE_PRIORITY = DEFAULT_PRIORITY + 1;

/** The number of a slot's routing table. */
export function tableOf(slot: number): number {
  return BASE + slot;
}

/** The priorities of the rules of one network, or of `default`. */
export interface Priorities {
  /** Of the rule by which the ssh connection steps over the next ones. */
  readonly step: number;
  /** Of the rule that leads into the tunnel's table. */
  readonly table: number;
  /** Of the rule on which the step lands. */
  readonly landing: number;
}

/** The priorities of a network's rules. */
export function prioritiesOf(prefix: Prefix): Priorities {
  if (prefix.length === 0) {
    return {
      step: DEFAULT_PRIORITY,
      table: SITE_PRIORITY + 1,
      landing: SITE_PRIORITY + 2,
    };
  }
  const first = BASE + 3 * (bits(prefix.family) - prefix.length);
  return {
    step: first,
    table: first + 1,
    landing: first + 2,
  };
}

/** A metric worse than any that somebody else sets: 0xff000000 and more. */
export function metricOf(slot: number): number {
  return 4278198272 + slot;
}

/** Whether a rule's priority is one of pvpn's. */
export function isPriority(value: number): boolean {
  return Number.isInteger(value) && value >= BASE && value <= SITE_PRIORITY + 2;
}
