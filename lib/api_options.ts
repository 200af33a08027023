/**
 * What other programs may ask of pvpn, and how it is read: by the parser of
 * the command line, so that both mean, and refuse, the same.
 *
 * @module
 */
import { parseCommandLine } from "./command_line.ts";
import type { ConnectRequest } from "./connect.ts";
import { UsageError } from "./errors.ts";
import type { Log } from "./log.ts";
import { quoteAll } from "./quote.ts";
import type { TunnelPlugin } from "./tunnel.ts";

/** How anything is done. */
export interface WorkOptions {
  /** Gets what a user would be told; without it, nobody is. */
  readonly log?: Log;
  /** Ends it when it is aborted. */
  readonly signal?: AbortSignal;
}

/** What {@linkcode connect} is asked for; see pvpn(8) for what these mean. */
export interface ConnectOptions extends WorkOptions {
  /**
   * Ends the tunnel when it is aborted: while it connects, and when it is up.
   */
  readonly signal?: AbortSignal;
  /** The tunnel type, or `auto`; `ppp` without. */
  readonly type?: string;
  /** Tunnel types beside those that are built in. */
  readonly plugins?: readonly TunnelPlugin[];
  /** What goes through the tunnel: networks, addresses, `default`. */
  readonly routes?: readonly string[];
  /** What of that does not. */
  readonly exclude?: readonly string[];
  /** What becomes of IPv6 under `default`; `tunnel` without. */
  readonly ipv6?: "tunnel" | "block" | "leave";
  /** The addresses of both ends, `IP1:IP2`; `any:any` without. */
  readonly ip?: string;
  /** MTU of both devices, in bytes, or `auto`; without it, the type's. */
  readonly mtu?: number | "auto";
  /** How many ssh processes carry it; one without. */
  readonly parallel?: number;
  /** The SSH server that packets really go to, where that cannot be seen. */
  readonly firstSshHop?: string;
  /** Whether names are asked through the tunnel, of the server's resolvers. */
  readonly inheritDns?: boolean;
  /** Resolvers that are asked through the tunnel instead: addresses. */
  readonly dns?: readonly string[];
  /** The domains whose names are asked for there; all without. */
  readonly dnsDomains?: readonly string[];
  /** Whether the server's own networks are routed too. */
  readonly autoNets?: boolean;
  /** Whether the server forwards and masquerades while the tunnel is up. */
  readonly nat?: boolean;
  /** Whether the routes open while the tunnel is down. */
  readonly allowFallback?: boolean;
  /** Whose ssh runs; this process's user's without. */
  readonly sshUser?: string;
  /** More arguments of ssh; each is one word. */
  readonly sshArgs?: readonly string[];
  /** Whether ssh may ask on the terminal, if there is one. */
  readonly interactive?: boolean;
}

/** What {@linkcode check} is asked for; see {@linkcode ConnectOptions}. */
export type CheckOptions = Pick<
  ConnectOptions,
  "log" | "signal" | "type" | "plugins" | "sshUser" | "sshArgs" | "interactive"
>;

/**
 * Parses what a program asks for.
 *
 * @throws {UsageError} Where it makes no sense.
 */
export function parseOptions(
  host: string,
  options: ConnectOptions = {},
): ConnectRequest {
  const texts: Readonly<Record<string, string | number | undefined>> = {
    type: options.type,
    ipv6: options.ipv6,
    ip: options.ip,
    mtu: options.mtu,
    parallel: options.parallel,
    "first-ssh-hop": options.firstSshHop,
    "ssh-user": options.sshUser,
    dns: options.dns?.join(","),
  };
  const flags: Readonly<Record<string, boolean | undefined>> = {
    "inherit-dns": options.inheritDns,
    "auto-nets": options.autoNets,
    nat: options.nat,
    "allow-fallback": options.allowFallback,
  };
  const args = [
    ...Object.entries(texts).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`]
    ),
    ...Object.entries(flags).flatMap(([name, set]) => set ? [`--${name}`] : []),
    ...(options.exclude ?? []).map((text) => `--exclude=${text}`),
    ...(options.dnsDomains ?? []).map((text) => `--dns-domain=${text}`),
  ];
  const words = [...args, "--", host, ...options.routes ?? []];
  const { command } = parseCommandLine(
    words,
    quoteAll(options.sshArgs ?? []),
    (name) => {
      throw new UsageError(`"@${name}" is a profile, not a host`);
    },
  );
  if (command.action !== "connect") throw new TypeError("Not a connect");
  return {
    ...command.request,
    foreground: true,
    batch: options.interactive !== true,
  };
}
