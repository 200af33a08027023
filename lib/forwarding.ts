/**
 * Whether packets get any further than to the server.
 *
 * @module
 */
import { bits, type Family, formatAddress, type Route } from "./address.ts";
import type { Log } from "./log.ts";
import type { RemoteFacts } from "./remote.ts";
import type { Server } from "./state.ts";

/**
 * Warns of a server that does not forward, where a route leads beyond it. A
 * hint is all: it may be switched on later, or a route may be to an address of
 * the server's that nobody here can know of. (IPv6 of "default" is blocked
 * then, which is told elsewhere.)
 */
export function warnIfNotForwarding(
  routes: readonly Route[],
  { forwarding, pair }: RemoteFacts,
  server: Server | undefined,
  log: Log,
): void {
  const own = [formatAddress(pair.peer), server?.address];
  const beyond = (family: Family) =>
    routes.some((route) =>
      route === "default" ? family === 4 : route.family === family &&
        (route.length < bits(family) || !own.includes(formatAddress(route)))
    );
  const families = ([4, 6] as const).filter((family) =>
    forwarding[family] === false && beyond(family)
  );
  if (families.length === 0) return;
  const which = families.map((family) => `IPv${family}`).join(" or ");
  const settings = families.map((family) =>
    family === 4 ? "net.ipv4.ip_forward=1" : "net.ipv6.conf.all.forwarding=1"
  );
  log.warn(
    `the server does not forward ${which}: only its own addresses will answer`,
  );
  log.hint(
    "--nat makes it, while the tunnel is up; for good, type there: " +
      `sysctl ${settings.join(" ")}`,
  );
}
