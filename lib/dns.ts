/**
 * Names through the tunnel: the resolvers, their way, and who is told of them.
 *
 * @module
 */
import {
  type Address,
  formatAddress,
  formatRoute,
  host,
  parseAddress,
  type Route,
} from "./address.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { MAX_RESOLVERS } from "./dns_request.ts";
import type { Pair } from "./pair.ts";
import type { RemoteFacts } from "./remote.ts";
import type { RemotePart } from "./remote_script.ts";
import { RESOLVERS_PART } from "./resolv_conf.ts";
import type { Resolvers } from "./resolver.ts";
import type { TunnelState } from "./state.ts";
import type { UpRequest } from "./up.ts";

/** What the server is asked for. */
export function resolverParts({ dns }: TunnelState): RemotePart[] {
  return dns?.inherit ? [RESOLVERS_PART] : [];
}

/** What stands for the server's resolver in a dry run (RFC 5737). */
const PLACEHOLDER = "192.0.2.53";

/**
 * Decides whom to ask for names.
 *
 * @returns `undefined` where names are left alone.
 * @throws {PvpnError} Where nobody can be asked through this tunnel.
 */
export function chooseResolvers(
  { journal: { state }, runner, resume, log }: UpRequest,
  { pair, resolvers: told, ipv6 }: RemoteFacts,
): Resolvers | undefined {
  const { dns, names, host: server, firstHop, pair6 } = state;
  if (dns === undefined) return undefined;
  const typed = dns.addresses.map((text) => parseAddress(text)!);
  const inUse = names?.inUse && {
    addresses: names.inUse.addresses.map((text) => parseAddress(text)!),
    domains: names.inUse.domains,
  };
  if (told !== undefined && !resume) {
    for (const text of told.nonsense) {
      log.warn(`"${server}" has a resolver or domain "${text}": left out`);
    }
  }
  if (runner.dry && dns.inherit && typed.length === 0) {
    log.info(`${PLACEHOLDER} stands for a resolver that the server will name`);
  }
  const known = typed.length > 0
    ? typed
    : runner.dry
    ? [parseAddress(PLACEHOLDER)!]
    : told?.addresses ?? [];
  const addresses = known.filter((address) => {
    const why = address.family === 6 && (pair6 === undefined || ipv6 !== "way")
      ? "is left out: IPv6 does not go through the tunnel"
      : unreachable(address, pair, firstHop);
    if (why === undefined) return true;
    if (!resume) log.warn(`the resolver ${formatAddress(address)} ${why}`);
    return false;
  }).slice(0, MAX_RESOLVERS);
  if (addresses.length > 0) {
    return { addresses, domains: told?.domains ?? [] };
  }
  // The server's files may be in the middle of a change.
  if (inUse !== undefined) return inUse;
  throw nobody(server, known.length > 0, told?.stub);
}

/** Why a resolver cannot be asked through this tunnel. */
function unreachable(
  address: Address,
  { local }: Pair,
  firstHop: string | undefined,
): string | undefined {
  if (formatAddress(address) === formatAddress(local)) {
    return "is left out: this end of the tunnel has that address";
  }
  if (formatAddress(address) === firstHop) {
    return "is left out: -s keeps all of that address outside";
  }
}

function nobody(
  server: string,
  some: boolean,
  stub: string | undefined,
): PvpnError {
  const why = some
    ? "none of the resolvers can be asked through the tunnel"
    : stub === undefined
    ? `"${server}" names no resolver`
    : `"${server}" asks itself for names, at ${stub}, and pvpn cannot tell ` +
      `whom that asks`;
  return new PvpnError(ExitCode.dns, why, [
    "name a resolver with --dns ADDRESS; -D beside it still takes the " +
    "server's search domains",
  ]);
}

/**
 * The routes with those to the resolvers, and to those that were in use before:
 * programs may still ask these, until they are told of others.
 */
export function withResolvers(
  routes: readonly Route[],
  resolvers: Resolvers | undefined,
  { names }: TunnelState,
): Route[] {
  const before = names?.inUse?.addresses.map((text) => parseAddress(text)!) ??
    [];
  const hosts = [...resolvers?.addresses ?? [], ...before].map(host);
  const have = (one: Route) =>
    routes.some((route) =>
      route !== "default" && one !== "default" &&
      route.family === one.family && route.value === one.value &&
      route.length === one.length
    );
  const more = hosts.filter((route) => !have(route));
  return [
    ...routes,
    ...new Map(more.map((route) => [formatRoute(route), route])).values(),
  ];
}
