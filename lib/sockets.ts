/**
 * TCP connections of this machine's processes, as ss(8) tells them.
 *
 * @module
 */
import { formatAddress, parseAddress } from "./address.ts";
import type { Runner } from "./command.ts";
import type { Server } from "./state.ts";

/** A connection. */
export interface Socket {
  /** The processes that have it open. */
  readonly owners: readonly number[];
  /** The other end. */
  readonly peer: Server;
  /** The round-trip time that the kernel sees, in milliseconds. */
  readonly rtt: number | undefined;
  /** The largest segment that is sent, in bytes. */
  readonly mss: number | undefined;
  /** The MTU of the way there, in bytes. */
  readonly mtu: number | undefined;
  /** What decides how fast it may send. */
  readonly congestion: string | undefined;
}

/** Asks for all connections that are established. */
export const CONNECTIONS = ["ss", "-Htinp", "state", "established"] as const;

/** All connections that are established. */
export async function connections(runner: Runner): Promise<Socket[]> {
  return parseSockets((await runner.query(CONNECTIONS)).stdout);
}

const USERS_REGEXP = /users:\((?:\("[^"(),=]*",pid=\d+,fd=\d+\),?)+\)\s*$/;

/**
 * Reads `ss -Htnp state established`, and what `-i` adds: a line behind each,
 * which starts with a tab.
 */
export function parseSockets(text: string): Socket[] {
  return text.split(/\n(?![\t ])/).flatMap((entry) => {
    const [line = "", info = ""] = entry.split("\n");
    const [, , , end = ""] = line.trim().split(/\s+/);
    const peer = parseEndpoint(end);
    if (peer === undefined) return [];
    // A process names itself as it likes: "pid=1" is a name, not a pid.
    const [users = ""] = USERS_REGEXP.exec(line) ?? [];
    const owners = [...users.matchAll(/",pid=(\d+),/g)].map(([, pid]) =>
      Number(pid)
    );
    const number = (key: string) => {
      const [, value] = new RegExp(`\\s${key}:(\\d+(?:\\.\\d+)?)`).exec(info) ??
        [];
      return value === undefined ? undefined : Number(value);
    };
    return [{
      ...{ owners, peer },
      ...{ rtt: number("rtt"), mss: number("mss"), mtu: number("pmtu") },
      congestion: /^\s+(?:\S+ )*?([a-z]\w*) (?:wscale|rto):/.exec(info)?.[1],
    }];
  });
}

/** `1.2.3.4:22`, `[2001:db8::1]:22`, `[::ffff:1.2.3.4]:22`. */
function parseEndpoint(text: string): Server | undefined {
  const [, ip = "", port] = /^\[?([^\]%]+)(?:%[^\]]+)?\]?:(\d+)$/.exec(text) ??
    [];
  const address = parseAddress(ip.replace(/^::ffff:(?=\d+\.)/, ""));
  if (address === undefined) return undefined;
  return { address: formatAddress(address), port: Number(port) };
}

/**
 * The connection that one of `pids` has, in the order of `pids` (parents
 * first).
 *
 * @param port The port that it goes to; any, without.
 */
export function socketOf(
  sockets: readonly Socket[],
  pids: readonly number[],
  port?: number,
): Socket | undefined {
  for (const pid of pids) {
    const found = sockets.find(({ owners, peer }) =>
      // Somebody may be connected to a LocalForward of the user's.
      owners.includes(pid) && (port === undefined || peer.port === port)
    );
    if (found !== undefined) return found;
  }
  return undefined;
}
