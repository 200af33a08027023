/**
 * Routes and rules that bring traffic into a tunnel, so that it fails closed:
 * while the tunnel is down there is another, worse route that says
 * "unreachable", never one that leads out in clear.
 *
 * See ip-route(8) and ip-rule(8); rules by port need Linux 4.17.
 *
 * @module
 */
import {
  contains,
  formatAddress,
  formatPrefix,
  host,
  parseAddress,
  parsePrefix,
  type Prefix,
  type Route,
} from "./address.ts";
import type { Argv, Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Pair } from "./pair.ts";
import {
  metricOf,
  pinPriorityOf,
  SUPPRESS_PRIORITY,
  TABLE_PRIORITY,
  tableOf,
} from "./route_numbers.ts";
import type { Server } from "./state.ts";
import { type IpStep, isWord } from "./undo.ts";

/** A route as `ip -json route` prints it; what is read of it. */
interface RouteEntry {
  readonly dst: string;
  readonly type?: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly table?: string;
  readonly metric?: number;
}

/** What of this machine's routing a new tunnel has to respect. */
export interface RoutingTable {
  /** Networks reached by something else than a default route. */
  readonly taken: readonly Prefix[];
  /** The numbers of the tables that have routes in them. */
  readonly tables: ReadonlySet<string>;
}

/** Checks what is read of what `ip -json route` prints. */
function parseRoutes(json: string): RouteEntry[] {
  const isText = (value: unknown) =>
    value === undefined || typeof value === "string";
  const isRoute = (value: unknown): value is RouteEntry => {
    if (typeof value !== "object" || value === null) return false;
    const { dst, type, gateway, dev, table, metric } = value as RouteEntry;
    return typeof dst === "string" &&
      [type, gateway, dev, table].every(isText) &&
      (metric === undefined || typeof metric === "number");
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

/** Prints this machine's IPv4 routes, of all tables. */
export const SHOW_ROUTES: Argv = [
  ...["ip", "-4", "-json", "route", "show", "table", "all"],
];

/** Reads what {@linkcode SHOW_ROUTES} prints. */
export function parseRoutingTable(json: string): RoutingTable {
  const routes = parseRoutes(json);
  const prefixes = routes.map(({ dst }) => parsePrefix(dst, 4));
  return {
    // 0.0.0.0/1 and 128.0.0.0/1 are how some VPNs write "default".
    taken: prefixes.filter((p): p is Prefix => p !== undefined && p.length > 1),
    tables: new Set(routes.flatMap(({ table }) => table ?? [])),
  };
}

/** The way that leads to an address outside of the tunnel. */
export interface Nexthop {
  /** The router; without it, the address is on the link. */
  readonly gateway?: string;
  /** The device. */
  readonly device: string;
}

/**
 * Finds the way to the server that does not lead through `device`.
 *
 * @returns `undefined` where there is none now.
 */
export async function nexthopTo(
  server: Server,
  device: string,
  runner: Runner,
): Promise<Nexthop | undefined> {
  const family = parseAddress(server.address)!.family;
  const ip = ["ip", `-${family}`, "-json", "route"];
  const ports = server.port === undefined
    ? []
    : ["ipproto", "tcp", "dport", String(server.port)];
  const got = await runner.query([...ip, "get", server.address, ...ports], {
    anyStatus: true, // status 2: unreachable
  });
  const [now] = got.status === 0 ? parseRoutes(got.stdout) : [];
  const usable = (route: RouteEntry) =>
    route.dev !== undefined && route.dev !== device && isWord(route.dev) &&
    (route.type ?? "unicast") === "unicast";
  if (now !== undefined && usable(now)) return toNexthop(now);
  // The tunnel's own routes hide the way: the best of the others.
  const argv = [...ip, "show", "table", "main", "match", server.address];
  const [best] = parseRoutes((await runner.query(argv)).stdout)
    .filter(usable)
    .map((route) => ({ route, prefix: parsePrefix(route.dst, family) }))
    .sort((a, b) =>
      (b.prefix?.length ?? 0) - (a.prefix?.length ?? 0) ||
      (a.route.metric ?? 0) - (b.route.metric ?? 0)
    );
  return best && toNexthop(best.route);
}

function toNexthop({ gateway, dev }: RouteEntry): Nexthop {
  return gateway === undefined ? { device: dev! } : { gateway, device: dev! };
}

/** What the routes of a tunnel depend on. */
export interface RouteRequest {
  /** This machine's device. */
  readonly device: string;
  /** The tunnel's number. */
  readonly slot: number;
  /** The pair in use. */
  readonly pair: Pair;
  /** What the tunnel is for. */
  readonly routes: readonly Route[];
  /** The real peer of the ssh process, where it must be kept outside. */
  readonly server: Server | undefined;
  /** The way to it, where one of the networks covers it. */
  readonly nexthop: Nexthop | undefined;
}

/** Whether the tunnel would swallow its own connection without a pin. */
export function coversServer(
  routes: readonly Route[],
  server: Server,
): { byDefault: boolean; byNetwork: boolean } {
  const address = parseAddress(server.address)!;
  // Addresses of this machine itself never leave it: table local is first.
  const local = address.family === 4
    ? address.value >> 24n === 127n
    : address.value === 1n;
  return {
    byDefault: !local && routes.includes("default"),
    byNetwork: !local &&
      routes.some((route) => route !== "default" && contains(route, address)),
  };
}

const step = (
  family: 4 | 6,
  object: "route" | "rule",
  ...words: (string | number)[]
): IpStep => ({ kind: "ip", family, object, words: words.map(String) });

/**
 * What is added for a tunnel's routes, in this order: what closes comes
 * before what opens, and a rule comes after what it leads to.
 */
export function planRoutes(request: RouteRequest): IpStep[] {
  const { device, slot, pair, routes, server } = request;
  const via = ["via", formatAddress(pair.peer), "dev", device];
  const metric = ["metric", metricOf(slot)];
  const table = ["table", tableOf(slot)];
  const networks = routes.filter((route) => route !== "default");
  const steps: IpStep[] = [];
  if (server !== undefined) steps.push(...pin(request, server));
  // Longest prefix first, as for a host whose way leads through another.
  for (const route of networks.toSorted((a, b) => b.length - a.length)) {
    const prefix = formatPrefix(route);
    steps.push(
      step(4, "route", "unreachable", prefix, ...metric),
      step(4, "route", prefix, ...via),
    );
  }
  if (!routes.includes("default")) return steps;
  const suppress = ["table", "main", "suppress_prefixlength", 0];
  steps.push(
    step(4, "route", "unreachable", "default", ...metric, ...table),
    step(4, "route", "default", ...via, ...table),
    step(4, "rule", "priority", SUPPRESS_PRIORITY, ...suppress),
    // The tunnel has no IPv6 yet: none may leave beside it, but what cannot
    // leave the site (a router's advertisement may claim any other network).
    ...["fc00::/7", "fe80::/10"].map((site) =>
      step(6, "rule", "priority", SUPPRESS_PRIORITY, "to", site, ...suppress)
    ),
    step(6, "rule", "priority", TABLE_PRIORITY, "unreachable"),
    step(4, "rule", "priority", TABLE_PRIORITY, ...table),
  );
  return steps;
}

/** Keeps the ssh connection itself, and nothing else, outside. */
function pin(request: RouteRequest, server: Server): IpStep[] {
  const { slot, routes, nexthop } = request;
  const covered = coversServer(routes, server);
  if (!covered.byDefault && !covered.byNetwork) return [];
  const address = parseAddress(server.address)!;
  const ports = server.port === undefined
    ? []
    : ["ipproto", "tcp", "dport", server.port];
  const rule = (table: string | number) =>
    step(
      address.family,
      "rule",
      ...["priority", pinPriorityOf(slot), "to", formatPrefix(host(address))],
      ...ports,
      ...["table", table],
    );
  if (!covered.byNetwork) return [rule("main")];
  if (nexthop === undefined || !isWord(nexthop.device)) {
    throw new PvpnError(
      ExitCode.network,
      `there is no way to the server ${server.address} outside of the tunnel`,
      [`see: ip route get ${server.address}`],
    );
  }
  const { gateway, device } = nexthop;
  return [
    step(
      address.family,
      "route",
      formatPrefix(host(address)),
      ...(gateway === undefined ? [] : ["via", gateway]),
      ...["dev", device, "table", tableOf(slot)],
    ),
    rule(tableOf(slot)),
  ];
}
