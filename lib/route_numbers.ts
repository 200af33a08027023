/**
 * The numbers by which pvpn's routes and rules are known.
 *
 * @module
 */

// A tunnel's table is BASE + slot; so is its pin rule's priority, before all
// rules that catch everything. One tunnel at a time has the default route.
const BASE = 10000;
/** The priority of the rule that lets the main table's networks go first. */
export const SUPPRESS_PRIORITY = 11000;
/** The priority of the rule that catches everything. */
export const TABLE_PRIORITY = 11001;
/** How many slots there are. */
export const SLOTS = 1000;

/** The number of a slot's routing table. */
export function tableOf(slot: number): number {
  return BASE + slot;
}

/** The priority of the rule that keeps a slot's ssh connection outside. */
export function pinPriorityOf(slot: number): number {
  return BASE + slot;
}

/** A metric worse than any that somebody else sets: 0xff000000 and more. */
export function metricOf(slot: number): number {
  return 4278198272 + slot;
}

/** Whether a rule's priority is one of pvpn's. */
export function isPriority(value: number): boolean {
  return Number.isInteger(value) && value >= BASE && value <= TABLE_PRIORITY;
}
