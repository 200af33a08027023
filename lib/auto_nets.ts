/**
 * `-N`: the networks that the server itself reaches, and which of them a
 * client believes.
 *
 * A server is trusted with what is sent to it, not with more of this machine's
 * traffic than was meant. Its word is never enough for a route that would take
 * away what this machine reaches otherwise (its own networks, other tunnels,
 * the way to the server, its resolvers), nor for a large part of the internet.
 *
 * @module
 */
import {
  type Address,
  contains,
  formatAddress,
  formatPrefix,
  formatRoute,
  overlaps,
  parseAddress,
  parsePrefix,
  parseRoute,
  type Prefix,
  type Route,
} from "./address.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { RemoteFacts } from "./remote.ts";
import type { RemotePart } from "./remote_script.ts";
import {
  type MainRoute,
  parseRoutingTable,
  SHOW_ROUTES,
} from "./routing_table.ts";
import type { Server, TunnelState } from "./state.ts";
import type { UpRequest } from "./up.ts";

/** How many networks a server may name. */
export const NETWORK_LIMIT = 128;

// One more than is taken, to be seen. Not: what other clients' tunnels lead to
// (one address, made by the kernel with the pair), and what has no link.
const SCRIPT = `
parts="$parts networks"
networks() {
  count=0
  {
    ip -4 route show table main type unicast
    [ -z "$local6" ] || ip -6 route show table main type unicast
  } | while read -r network rest; do
    case "$rest " in *"dev $1 "* | *" linkdown "*) continue ;; esac
    case $network in
      default | nexthop | fe80:*) continue ;;
      */*) ;;
      *) case $rest in *"proto kernel"*) continue ;; esac ;;
    esac
    say "network=$network"
    [ $((count += 1)) -le ${NETWORK_LIMIT} ] || break
  done
}
`;

/** `-N`, on the server. */
export const NETWORKS: RemotePart = { text: SCRIPT };

const parse = (text: string) => parsePrefix(text, text.includes(":") ? 6 : 4)!;

/** Whether a tunnel's server is still to be asked. */
export function wantsNetworks({ autoNets, found }: TunnelState): boolean {
  return autoNets && found === undefined;
}

/** No networks of hosts, or of the link or the machine only (RFC 6890). */
const SPECIAL = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  ...["::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
].map(parse);

/** RFC 1918, RFC 6598, RFC 4193. */
const PRIVATE = [
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
  "fc00::/7",
].map(parse);

/** The shortest prefix length that is believed: a site's, or a carrier's. */
function shortest(network: Prefix): number {
  const inside = PRIVATE.some((one) => contains(one, network));
  if (network.family === 4) return inside ? 8 : 16;
  return inside ? 8 : 32;
}

/** What a server's networks must not take away. */
export interface Surroundings {
  /** Networks that this machine reaches by something else than a default. */
  readonly taken: readonly Prefix[];
  /** The main table's part of them. */
  readonly main: readonly MainRoute[];
  /** Its resolvers. */
  readonly resolvers: readonly Address[];
  /** The real peer of the ssh process. */
  readonly server: Address | undefined;
  /** What goes through the tunnel anyway. */
  readonly routes: readonly Route[];
  /** What must not. */
  readonly exclude: readonly Prefix[];
}

/** What is made of a server's networks. */
export interface Choice {
  /** Networks to route into the tunnel. */
  readonly chosen: readonly Prefix[];
  /** What of these this machine is attached to: to be excluded. */
  readonly exclude: readonly Prefix[];
  /** Networks that are not routed, and why, in words. */
  readonly leftOut: readonly {
    readonly network: Prefix;
    readonly reason: string;
  }[];
}

/** Why a network is not to be routed into the tunnel; `undefined` if it is. */
function objection(
  network: Prefix,
  { taken, main, resolvers, server, exclude }: Surroundings,
): string | undefined {
  if (SPECIAL.some((one) => overlaps(one, network))) {
    return "it has addresses in it that belong to no network";
  }
  if (network.length < shortest(network)) {
    return "it is too large to take a server's word for it";
  }
  const own = taken.find((one) => contains(one, network));
  if (own !== undefined) {
    return `this machine has a route to ${formatPrefix(own)}`;
  }
  const not = exclude.find((one) => contains(one, network));
  if (not !== undefined) return `-x ${formatRoute(not)} says so`;
  if (server !== undefined && contains(network, server)) {
    return `it has the server's own address ${formatAddress(server)} in it`;
  }
  const exposed = resolvers.find((resolver) =>
    contains(network, resolver) &&
    !main.some((one) =>
      one.attached && contains(network, one) && contains(one, resolver)
    )
  );
  if (exposed === undefined) return undefined;
  return `it has this machine's resolver ${formatAddress(exposed)} in it`;
}

/**
 * Chooses which of a server's networks are routed into the tunnel.
 *
 * @param found What the server named.
 * @throws {PvpnError} Where it named more than {@linkcode NETWORK_LIMIT}.
 */
export function chooseNetworks(
  found: readonly Prefix[],
  around: Surroundings,
): Choice {
  if (found.length > NETWORK_LIMIT) {
    throw new PvpnError(
      ExitCode.server,
      `the server reaches more than ${NETWORK_LIMIT} networks`,
      ["name those that you want, and leave -N out"],
    );
  }
  const chosen: Prefix[] = [];
  const leftOut = new Map<string, { network: Prefix; reason: string }>();
  // The larger first: what is inside one that is routed needs no route.
  const sorted = found.toSorted((a, b) =>
    a.family - b.family || a.length - b.length
  );
  for (const network of sorted) {
    const covers = (route: Route) =>
      route !== "default" && contains(route, network);
    if (around.routes.some(covers) || chosen.some(covers)) continue;
    const reason = objection(network, around);
    if (reason === undefined) chosen.push(network);
    else leftOut.set(formatPrefix(network), { network, reason });
  }
  // A route by a router may be a hostile DHCP server's (CVE-2024-3661).
  const exclude = around.main.filter((own) =>
    own.attached &&
    chosen.some((network) => contains(network, own)) &&
    !around.exclude.some((one) => contains(one, own))
  );
  return { chosen, exclude, leftOut: [...leftOut.values()] };
}

/** The resolvers that lines of resolv.conf(5) name. */
export function parseResolvers(text: string): Address[] {
  return text.split("\n").flatMap((line) => {
    const [key, value = ""] = line.trim().split(/\s+/);
    const address = key === "nameserver"
      ? parseAddress(value.replace(/%.*$/, ""))
      : undefined;
    return address ?? [];
  });
}

// systemd-resolved's own list has what is behind its stub.
const SHOW_RESOLVERS = [
  ...["sh", "-c", 'cat -- "$@" 2>/dev/null', "pvpn", "/etc/resolv.conf"],
  "/run/systemd/resolve/resolv.conf",
];

/**
 * Adds the server's networks to a tunnel's routes, for as long as it lives.
 *
 * @returns All of its routes.
 */
export async function addNetworks(
  { journal, runner, log }: UpRequest,
  { networks, ipv6 }: RemoteFacts,
  server: Server | undefined,
): Promise<Route[]> {
  const { state } = journal;
  const routes = state.routes.map(parseRoute);
  if (runner.dry) {
    log.info("what -N routes is known when the server has said it");
    return routes;
  }
  const [table, resolvers] = await Promise.all([
    runner.query(SHOW_ROUTES),
    runner.query(SHOW_RESOLVERS, { anyStatus: true }),
  ]);
  const found = networks.filter(({ family }) =>
    family === 4 || ipv6 !== "none"
  );
  const { chosen, exclude, leftOut } = chooseNetworks(found, {
    ...parseRoutingTable(table.stdout),
    resolvers: parseResolvers(resolvers.stdout),
    server: parseAddress(server?.address ?? ""),
    routes,
    exclude: state.exclude.map((text) => parseRoute(text) as Prefix),
  });
  for (const { network, reason } of leftOut) {
    log.info(`not routing ${formatRoute(network)}: ${reason}`);
  }
  for (const network of chosen) {
    const without = exclude.filter((own) => contains(network, own));
    log.info(
      [`routing ${formatRoute(network)} through ${state.device}`]
        .concat(without.map((own) => `without ${formatRoute(own)}`))
        .join(", "),
    );
  }
  if (chosen.length === 0) log.warn("-N found no network to route");
  await journal.update({
    found: {
      routes: chosen.map(formatRoute),
      exclude: exclude.map(formatRoute),
    },
  });
  return [...routes, ...chosen];
}
