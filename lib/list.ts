/**
 * What `-l` tells of each tunnel; the form of `--list --json`, which scripts
 * may rely on: pvpn(8), JSON.
 *
 * @module
 */
import { formatAddress } from "./address.ts";
import type { Runner } from "./command.ts";
import { glance, type Live, look, type Reading } from "./live.ts";
import type { Socket } from "./sockets.ts";
import { parsePair6 } from "./pair.ts";
import { excludedOf, routesOf, type TunnelState } from "./state.ts";
import type { StateDir } from "./state_dir.ts";

/**
 * The version of the form; it grows when a member goes, or means something
 * else, not when one is added.
 */
export const LIST_VERSION = 1;

/** A tunnel. What is not known, or not there, is `null`. */
export interface TunnelInfo {
  /** This machine's device. */
  readonly device: string;
  /** The tunnel type. */
  readonly type: string;
  /**
   * Where it stands; `dead` where all who looked after it have been killed. A
   * `stopping` one may have been left so: what is left of it goes with the next
   * start, or `-S`.
   */
  readonly state: "connecting" | "up" | "reconnecting" | "stopping" | "dead";
  /** SSH-HOST. */
  readonly host: string;
  /** The address of this end. */
  readonly local: string | null;
  /** The address of the server's end. */
  readonly peer: string | null;
  /** The IPv6 address of this end. */
  readonly local6: string | null;
  /** The IPv6 address of the server's end. */
  readonly peer6: string | null;
  /** The ROUTEs. */
  readonly routes: readonly string[];
  /** The networks that are left out of them. */
  readonly exclude: readonly string[];
  /** Resolvers that are asked through the tunnel; none without -D. */
  readonly resolvers: readonly string[];
  /** The domains that these are asked for; all, where there are none. */
  readonly domains: readonly string[];
  /** MTU of the device, in bytes. */
  readonly mtu: number;
  /** How many ssh processes are to carry it. */
  readonly parallel: number;
  /** What ssh's packets go to: the server, or the first proxy before it. */
  readonly server: {
    readonly address: string;
    readonly port: number | null;
  } | null;
  /** When it came up last: ISO 8601. */
  readonly since: string | null;
  /** How often it came back. */
  readonly reconnects: number;
  /** Bytes that came out of the tunnel since its device was made. */
  readonly receivedBytes: number | null;
  /** Bytes that went into it. */
  readonly sentBytes: number | null;
  /** What comes out of it now. */
  readonly receivedBytesPerSecond: number | null;
  /** What goes into it now. */
  readonly sentBytesPerSecond: number | null;
  /** The round-trip time of ssh's connection to `server`. */
  readonly rttMilliseconds: number | null;
  /** Why it is not up. */
  readonly problem: string | null;
}

/** All tunnels. */
export interface TunnelList {
  /** {@linkcode LIST_VERSION}. */
  readonly version: typeof LIST_VERSION;
  /** When: ISO 8601. */
  readonly time: string;
  /** The tunnels, by device. */
  readonly tunnels: readonly TunnelInfo[];
}

/** What {@linkcode list} has read; the next one takes rates from it. */
export interface Listed {
  /** What there is. */
  readonly list: TunnelList;
  /** The counters at its end. */
  readonly reading: Reading;
}

/**
 * Lists the tunnels.
 *
 * @param before An earlier reading, to measure rates against; without one,
 * they are measured over the few milliseconds that this takes.
 */
export async function list(
  dir: StateDir,
  runner: Runner,
  before?: Reading,
): Promise<Listed> {
  const seen = await glance(await dir.devices(), runner);
  const { states, live, reading } = await observe(dir, seen.sockets, runner);
  const first = before ?? seen.reading;
  const tunnels = states.map((state) =>
    tunnelInfo(state, live.get(state.device)!, first, reading)
  );
  const time = new Date().toISOString();
  return { list: { version: LIST_VERSION, time, tunnels }, reading };
}

/**
 * Reads what is written down, and looks whether it is so. Who is not there any
 * more may have handed the tunnel over in between: then once more.
 */
async function observe(
  dir: StateDir,
  sockets: readonly Socket[],
  runner: Runner,
) {
  const same = (a: unknown, b: unknown) =>
    JSON.stringify(a) === JSON.stringify(b);
  for (let tries = 1;; tries++) {
    const states = await dir.states();
    const { live, reading } = await look(states, sockets, runner);
    const dead = states.filter(({ device }) => !live.get(device)!.alive);
    const now = await Promise.all(dead.map(({ device }) => dir.read(device)));
    if (tries === 3 || same(dead, now)) return { states, live, reading };
  }
}

/** Puts together what is written down of a tunnel, and what was seen of it. */
export function tunnelInfo(
  state: TunnelState,
  live: Live,
  first: Reading,
  last: Reading,
): TunnelInfo {
  const { device, type, host, mtu, parallel = 1 } = state;
  const server = state.server ?? live.socket?.peer;
  const [local = "any", peer = "any"] = state.pair?.split(":") ?? [];
  const pair6 = pair6Of(state);
  const counters = last.counters.get(device);
  const rate = (key: "received" | "sent") => {
    const [now, then] = [counters?.[key], first.counters.get(device)?.[key]];
    // A device that was made anew counts from 0.
    if (now === undefined || then === undefined || now < then) return null;
    return Math.round((now - then) * 1000 / Math.max(last.at - first.at, 1));
  };
  return {
    ...{ device, type, host, mtu, parallel },
    ...{ routes: routesOf(state), exclude: excludedOf(state) },
    state: live.alive || state.phase === "stopping" ? state.phase : "dead",
    local: local === "any" ? null : local,
    peer: peer === "any" ? null : peer,
    local6: pair6 === undefined ? null : formatAddress(pair6.local),
    peer6: pair6 === undefined ? null : formatAddress(pair6.peer),
    resolvers: state.names?.inUse?.addresses ?? [],
    domains: state.dns?.domains ?? [],
    server: server === undefined
      ? null
      : { address: server.address, port: server.port ?? null },
    since: state.since ?? null,
    reconnects: state.reconnects,
    receivedBytes: counters?.received ?? null,
    sentBytes: counters?.sent ?? null,
    receivedBytesPerSecond: rate("received"),
    sentBytesPerSecond: rate("sent"),
    rttMilliseconds: live.socket?.rtt ?? null,
    problem: state.problem ?? null,
  };
}

/** The IPv6 pair, where the server's end has it as well: it is routed to. */
function pair6Of({ pair6, undo }: TunnelState) {
  const pair = parsePair6(pair6 ?? "");
  const used = pair !== undefined &&
    undo.some((step) =>
      step.kind === "ip" && step.words.includes(formatAddress(pair.peer))
    );
  return used ? pair : undefined;
}
