/**
 * Values of the command line, each by itself and together.
 *
 * @module
 */
import {
  contains,
  formatRoute,
  parseRoute,
  type Prefix,
  type Route,
} from "./address.ts";
import type { ConnectRequest } from "./connect.ts";
import { UsageError } from "./errors.ts";
import { IPV6_MODES, type Ipv6Mode, MIN_MTU_6 } from "./state.ts";
import { MAX_MTU } from "./tunnel.ts";

/** The smallest MTU that IPv4 hosts must take (RFC 791), in bytes. */
const MIN_MTU = 576;

/** The most ssh processes that a tunnel can have; sshd drops more at once. */
const MAX_PARALLEL = 8;

/** Refuses what cannot be meant together. */
export function checkTogether({ routes, exclude, mtu }: ConnectRequest): void {
  const texts = routes.map(formatRoute);
  const same = exclude.map(formatRoute).find((text) => texts.includes(text));
  if (same !== undefined) {
    throw new UsageError(`${same} is a ROUTE, and -x ${same} excludes it`);
  }
  const ipv6 = routes.find((r) => r !== "default" && r.family === 6);
  if (ipv6 !== undefined && typeof mtu === "number" && mtu < MIN_MTU_6) {
    throw new UsageError(
      `--mtu ${mtu} is too small for ${formatRoute(ipv6)}`,
      `IPv6 needs ${MIN_MTU_6} bytes at least`,
    );
  }
}

/** Each route once. */
export function uniqueRoutes<R extends Route>(routes: readonly R[]): R[] {
  const seen = new Set<string>();
  return routes.filter((route) => {
    const key = formatRoute(route);
    return !seen.has(key) && seen.add(key);
  });
}

const LOOPBACK = ["127.0.0.0/8", "::1"].map(parseRoute) as Prefix[];

/** A word behind SSH-HOST: what somebody may take for a command, or a name. */
export function parseArgument(text: string): Route {
  if (text.includes("@")) {
    throw new UsageError(
      `"${text}" is not a route`,
      `SSH-HOST comes first, and no command before it: pvpn ${text} ...`,
    );
  }
  if (/^[\w-]+(?:\.[\w-]+)*\.[a-z]+$/i.test(text)) {
    throw new UsageError(
      `"${text}" is a name, and routes are for addresses`,
      `see which it has: getent ahosts ${text}`,
    );
  }
  const route = parseRoute(text);
  if (route !== "default" && LOOPBACK.some((own) => contains(own, route))) {
    throw new UsageError(
      `"${text}" never leaves this machine`,
      "a ROUTE is a network that the server reaches, such as 192.168.0.0/16",
    );
  }
  return route;
}

/** The value of `-x`. */
export function parseExclude(text: string): Prefix {
  const route = parseRoute(text);
  if (route !== "default") return route;
  throw new UsageError(
    `-x ${text} leaves nothing for the tunnel`,
    "name a part of what is routed, such as -x 192.168.1.0/24",
  );
}

/** The value of `--ipv6`. */
export function parseIpv6(text: string | undefined): Ipv6Mode {
  const mode = IPV6_MODES.find((mode) => mode === (text ?? "tunnel"));
  if (mode !== undefined) return mode;
  throw new UsageError(`--ipv6 ${text} is none of ${IPV6_MODES.join(", ")}`);
}

/** The value of `--mtu`. */
export function parseMtu(text: string): number | "auto" {
  if (text === "auto") return text;
  const mtu = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (mtu >= MIN_MTU && mtu <= MAX_MTU) return mtu;
  throw new UsageError(
    `--mtu ${text} is neither a number from ${MIN_MTU} to ${MAX_MTU} nor auto`,
    "below, IPv4 does not work; above, ssh loses every packet",
  );
}

/** Parses the value of `--parallel`; `undefined` is one, as without it. */
export function parseParallel(text: string): number | undefined {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_PARALLEL) {
    return count === 1 ? undefined : count;
  }
  throw new UsageError(
    `--parallel ${text} is not a number from 1 to ${MAX_PARALLEL}`,
    "it is how many ssh processes carry the tunnel",
  );
}
