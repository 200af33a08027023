/**
 * This machine's routing tables, as far as a new tunnel has to respect them.
 *
 * @module
 */
import {
  contains,
  formatPrefix,
  parsePrefix,
  type Prefix,
  type Route,
} from "./address.ts";
import type { Argv } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Log } from "./log.ts";

/** A route as `ip -json route` prints it; what is read of it. */
interface RouteEntry {
  readonly dst: string;
  readonly type?: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly table?: string;
  readonly scope?: string;
}

/** A network of the main table. */
export interface MainRoute extends Prefix {
  /** Whether this machine is attached to it: there is no router in between. */
  readonly attached: boolean;
}

/** What of this machine's routing a new tunnel has to respect. */
export interface RoutingTable {
  /** Networks reached by something else than a default route. */
  readonly taken: readonly Prefix[];
  /** The main table's part of them. */
  readonly main: readonly MainRoute[];
  /** Whether there is IPv6 at all. */
  readonly ipv6: boolean;
  /** The numbers of the tables that have routes in them. */
  readonly tables: ReadonlySet<string>;
}

/** Prints this machine's routes, of all tables and both families. */
export const SHOW_ROUTES: Argv = [
  ...["ip", "-json", "route", "show", "table", "all"],
];

/** Checks what is read of what `ip -json route` prints. */
function parseRoutes(json: string): RouteEntry[] {
  const isText = (value: unknown) =>
    value === undefined || typeof value === "string";
  const isRoute = (value: unknown): value is RouteEntry => {
    if (typeof value !== "object" || value === null) return false;
    const { dst, type, gateway, dev, table, scope } = value as RouteEntry;
    return typeof dst === "string" &&
      [type, gateway, dev, table, scope].every(isText);
  };
  let routes: unknown;
  try {
    routes = JSON.parse(json.trim() || "[]");
  } catch {
    routes = undefined; // refused with all else that is no list
  }
  if (Array.isArray(routes) && routes.every(isRoute)) return routes;
  throw new PvpnError(
    ExitCode.network,
    `"ip" printed something that is no list of routes: ${json.slice(0, 64)}`,
    ["pvpn needs iproute2's ip; see: ip -V"],
  );
}

/** Reads what {@linkcode SHOW_ROUTES} prints. */
export function parseRoutingTable(json: string): RoutingTable {
  // "default" is of either family; it is left out below.
  const routes = parseRoutes(json).flatMap((entry) => {
    const prefix = parsePrefix(entry.dst, 4);
    // 0.0.0.0/1 and 128.0.0.0/1 are how some VPNs write "default".
    return prefix !== undefined && prefix.length > 1 ? [{ prefix, entry }] : [];
  });
  return {
    taken: routes.map(({ prefix }) => prefix),
    ipv6: routes.some(({ prefix }) => prefix.family === 6),
    main: routes
      .filter(({ entry: { table = "main" } }) => table === "main")
      .map(({ prefix, entry: { gateway, type = "unicast" } }) => ({
        ...prefix,
        attached: gateway === undefined && type === "unicast",
      })),
    tables: new Set(parseRoutes(json).flatMap(({ table }) => table ?? [])),
  };
}

const same = (a: Prefix, b: Prefix) =>
  a.family === b.family && a.length === b.length && a.value === b.value;

/**
 * Holds what is to be routed against what is routed by others: the same
 * network is refused, a part of it that this machine is attached to is told.
 *
 * @throws {PvpnError} Where a network is routed already.
 */
export function checkRoutes(
  routes: readonly Route[],
  exclude: readonly Prefix[],
  { main }: RoutingTable,
  log: Log,
): void {
  const networks = routes.filter((route) => route !== "default");
  for (const route of networks) {
    if (!main.some((other) => same(other, route))) continue;
    const text = formatPrefix(route);
    throw new PvpnError(
      ExitCode.network,
      `this machine has a route to ${text} already`,
      [
        `see which: ip route show ${text}`,
        "stop what made it, or leave it out; pvpn never replaces a route",
      ],
    );
  }
  for (const own of main) {
    const route = networks.find((route) => contains(route, own));
    if (route === undefined || !own.attached) continue;
    if (own.length === (own.family === 4 ? 32 : 128)) continue; // a peer's
    if (own.family === 6 && own.value >> 118n === 0x3fan) continue; // fe80::/10
    if (exclude.some((prefix) => contains(prefix, own))) continue;
    const text = formatPrefix(own);
    log.warn(
      `this machine is in ${text}, which ${formatPrefix(route)} sends ` +
        `through the tunnel`,
    );
    log.hint(`to keep it outside: -x ${text}`);
  }
}
