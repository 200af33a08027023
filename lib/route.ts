/**
 * Routes and rules that bring traffic into a tunnel, so that it fails closed.
 *
 * A tunnel's routes are in a table of its own, where each has a worse twin
 * that says "unreachable": it answers while the tunnel is down. Rules lead
 * there before the main table is asked, so that no route there, such as one
 * of a DHCP server's, can take traffic back out (CVE-2024-3661).
 *
 * See ip-route(8) and ip-rule(8); rules by port need Linux 4.17.
 *
 * @module
 */
import {
  type Address,
  contains,
  type Family,
  formatAddress,
  formatPrefix,
  host,
  parseAddress,
  parsePrefix,
  type Prefix,
  type Route,
} from "./address.ts";
import type { Pair } from "./pair.ts";
import {
  metricOf,
  prioritiesOf,
  SITE_PRIORITY,
  tableOf,
} from "./route_numbers.ts";
import type { Server } from "./state.ts";
import type { Flow } from "./tunnel.ts";
import type { IpStep } from "./undo_step.ts";

/** What the routes of a tunnel depend on. */
export interface RouteRequest {
  /** This machine's device. */
  readonly device: string;
  /** The tunnel's number. */
  readonly slot: number;
  /** MTU of what is routed, in bytes, where it is not the device's. */
  readonly mtu?: number | undefined;
  /** The pairs in use; of a family without one, all is closed. */
  readonly pairs: readonly Pair[];
  /** What the tunnel is for. */
  readonly routes: readonly Route[];
  /** What of that is not. */
  readonly exclude: readonly Prefix[];
  /** What `default` means for IPv6: the tunnel, nowhere, or nothing. */
  readonly default6: "open" | "closed" | "outside";
  /** The real peer of the ssh process, where it must be kept outside. */
  readonly server: Server | undefined;
  /** What else carries the tunnel, and must be kept outside. */
  readonly flows: readonly Flow[];
}

/**
 * The networks that are reached without a router or inside of a site, if at
 * all (RFC 1918, 6598, 3927, 4193, 4291): under `default` they are the main
 * table's where it has a route to them. All others are the tunnel's.
 */
const SITES: Readonly<Record<Family, readonly string[]>> = {
  4: [
    ...["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12"],
    "192.168.0.0/16",
  ],
  6: ["fc00::/7", "fe80::/10"],
};

/** Whether `default` leaves an address to the main table, if that routes it. */
export function inSite(address: Address): boolean {
  const sites = SITES[address.family].map((text) =>
    parsePrefix(text, address.family)!
  );
  return sites.some((site) => contains(site, address));
}

// systemd-networkd removes what is not the kernel's, or its own, from tables
// and rules when it starts (networkd.conf(5), ManageForeignRoutes).
const ROUTE_KEPT = ["proto", "kernel"];
const RULE_KEPT = ["protocol", "kernel"];

const step = (
  family: Family,
  object: "route" | "rule",
  ...words: (string | number)[]
): IpStep => ({ kind: "ip", family, object, words: words.map(String) });

const route = (family: Family, ...words: (string | number)[]) =>
  step(family, "route", ...words, ...ROUTE_KEPT);
const rule = (
  family: Family,
  priority: number,
  ...words: (string | number)[]
) => step(family, "rule", "priority", priority, ...words, ...RULE_KEPT);

/** The prefixes that routes mean. */
function prefixesOf(
  { routes, default6 }: Pick<RouteRequest, "routes" | "default6">,
): Prefix[] {
  const all = (family: Family): Prefix => ({ family, value: 0n, length: 0 });
  return routes.flatMap((route) => {
    if (route !== "default") return [route];
    return default6 === "outside" ? [all(4)] : [all(6), all(4)];
  });
}

/**
 * What is added for a tunnel's routes, in this order: what closes comes
 * before what opens, and a rule comes after what it leads to.
 */
export function planRoutes(request: RouteRequest): IpStep[] {
  const { device, slot, pairs, exclude, mtu } = request;
  // Not locked: what is found out about the way beyond still counts.
  const size = mtu === undefined ? [] : ["mtu", mtu];
  const prefixes = prefixesOf(request).sort((a, b) => b.length - a.length);
  const table = ["table", tableOf(slot)];
  const used = (family: Family) => prefixes.some((p) => p.family === family);
  const routes = prefixes.flatMap((prefix) => {
    const { family } = prefix;
    const to = formatPrefix(prefix);
    const closed = family === 6 && prefix.length === 0 &&
      request.default6 === "closed";
    const peer = closed
      ? undefined
      : pairs.find(({ peer }) => peer.family === family)?.peer;
    return [
      route(family, "unreachable", to, "metric", metricOf(slot), ...table),
      // On-link: that the peer is there must not depend on other routes.
      ...peer === undefined ? [] : [
        route(
          family,
          ...[to, "via", formatAddress(peer), "dev", device, "onlink", ...size],
          ...table,
        ),
      ],
    ];
  });
  // The lookup goes on behind this tunnel's rule, as if that were not there.
  const excluded = exclude.filter(({ family }) => used(family))
    .map((prefix) =>
      route(prefix.family, "throw", formatPrefix(prefix), ...table)
    );
  return [
    ...excluded,
    ...routes,
    ...prefixes.flatMap((prefix) => rulesOf(prefix, request)),
  ];
}

/** Whether the tunnel would swallow its own connection without more rules. */
function covers(prefix: Prefix, address: Address): boolean {
  // Addresses of this machine itself never leave it: table local is first.
  const local = address.family === 4
    ? address.value >> 24n === 127n
    : address.value === 1n;
  return !local && contains(prefix, address);
}

/**
 * The rules by which what carries a tunnel steps over those that lead into
 * it; the same that {@linkcode planRoutes} has among others.
 */
export function planOutside(
  request: Pick<RouteRequest, "device" | "routes" | "default6" | "flows">,
): IpStep[] {
  return prefixesOf(request).flatMap((prefix) =>
    stepsOver(prefix, { ...request, server: undefined })
  );
}

function stepsOver(
  prefix: Prefix,
  { device, server, flows }: Pick<RouteRequest, "device" | "server" | "flows">,
): IpStep[] {
  const { family } = prefix;
  const priority = prioritiesOf(prefix);
  const words = (address: Address, ...ports: (string | number)[]) =>
    covers(prefix, address)
      ? [["to", formatPrefix(host(address)), ...ports]]
      : [];
  const ssh = server === undefined ? [] : words(
    parseAddress(server.address)!,
    ...server.port === undefined
      ? []
      : ["ipproto", "tcp", "dport", server.port],
  );
  const others = flows.flatMap(({ address, protocol, port }) =>
    words(address, "ipproto", protocol, "dport", port)
  );
  const all = [...ssh, ...others];
  if (all.length === 0) return [];
  return [
    // Whatever it matches, it is only landed on; so it is this tunnel's own.
    rule(family, priority.landing, "iif", device, "nop"),
    ...all.map((one) =>
      rule(family, priority.step, ...one, "goto", priority.landing)
    ),
  ];
}

/** The rules that lead one prefix, but not what carries it, to the table. */
function rulesOf(prefix: Prefix, request: RouteRequest): IpStep[] {
  const { slot } = request;
  const { family } = prefix;
  const priority = prioritiesOf(prefix);
  const to = prefix.length === 0 ? [] : ["to", formatPrefix(prefix)];
  const rules = stepsOver(prefix, request);
  if (prefix.length === 0) {
    for (const site of SITES[family]) {
      const main = ["to", site, "table", "main", "suppress_prefixlength", 0];
      rules.push(rule(family, SITE_PRIORITY, ...main));
    }
  }
  rules.push(rule(family, priority.table, ...to, "table", tableOf(slot)));
  return rules;
}
