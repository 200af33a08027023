/**
 * What only the machine knows of a tunnel, and only now: whether its processes
 * run, what has gone through its device, and how far away its server is.
 *
 * @module
 */
import type { Argv, Runner } from "./command.ts";
import { aliveArgv, type ProcessId, requireRun } from "./process.ts";
import { CONNECTIONS, parseSockets, type Socket, socketOf } from "./sockets.ts";
import type { TunnelState } from "./state.ts";

/** Bytes that went through a device since it was made. */
export interface Counters {
  /** Out of the tunnel, to this machine. */
  readonly received: number;
  /** Into the tunnel. */
  readonly sent: number;
}

/** Counters of some devices, and when they were read. */
export interface Reading {
  /** Milliseconds, since some moment. */
  readonly at: number;
  /** By device; one that is not there has none. */
  readonly counters: ReadonlyMap<string, Counters>;
}

/** A tunnel as it is now. */
export interface Live {
  /** Whether somebody looks after it: its keeper, or a pvpn. */
  readonly alive: boolean;
  /** Its ssh's connection, where that is seen. */
  readonly socket: Socket | undefined;
}

// Deno may open nothing below /sys without all permissions. The command becomes
// the process: two of them take longer.
const READ_COUNTERS = `
while [ "$1" != -- ]; do
  at=/sys/class/net/$1/statistics
  read -r received 2>/dev/null <"$at/rx_bytes" &&
    read -r sent 2>/dev/null <"$at/tx_bytes" && echo "$1 $received $sent"
  shift
done
shift
echo
exec "$@"
`.trim();

/**
 * Reads what has gone through devices, and runs a command.
 *
 * @returns The counters, and what the command printed.
 */
async function readCounters(
  devices: readonly string[],
  argv: Argv,
  runner: Runner,
): Promise<{ reading: Reading; stdout: string }> {
  const at = performance.now();
  const output = await runner.query(
    ["sh", "-c", READ_COUNTERS, "pvpn", ...devices, "--", ...argv],
    { anyStatus: true },
  );
  requireRun(argv, output);
  const end = output.stdout.indexOf("\n\n") + 1; // 0 where there are none
  const counters = new Map<string, Counters>();
  for (const line of output.stdout.slice(0, end).split("\n")) {
    const [, device, received, sent] = /^(\S+) (\d+) (\d+)$/.exec(line) ?? [];
    if (device === undefined) continue;
    counters.set(device, { received: Number(received), sent: Number(sent) });
  }
  return { reading: { at, counters }, stdout: output.stdout.slice(end + 1) };
}

/** Reads what has gone through devices, and the machine's connections. */
export async function glance(
  devices: readonly string[],
  runner: Runner,
): Promise<{ reading: Reading; sockets: readonly Socket[] }> {
  if (devices.length === 0) return { reading: NOTHING, sockets: [] };
  const { reading, stdout } = await readCounters(
    ...[devices, CONNECTIONS, runner] as const,
  );
  return { reading, sockets: parseSockets(stdout) };
}

const NOTHING: Reading = { at: 0, counters: new Map() };

/** Who looks after a tunnel: a pvpn that is at work on it, or its keeper. */
function guardians(state: TunnelState): ProcessId[] {
  return state.owner !== undefined
    ? [state.owner]
    : state.undo.filter((step) => step.kind === "process");
}

/** Looks at tunnels. */
export async function look(
  states: readonly TunnelState[],
  sockets: readonly Socket[],
  runner: Runner,
): Promise<{ reading: Reading; live: ReadonlyMap<string, Live> }> {
  if (states.length === 0) return { reading: NOTHING, live: new Map() };
  const devices = states.map(({ device }) => device);
  const argv = aliveArgv(states.flatMap(guardians));
  const { reading, stdout } = await readCounters(devices, argv, runner);
  const running = new Set(stdout.split("\n").filter(Boolean).map(Number));
  const live = new Map(states.map((state) => {
    const carriers = state.undo.filter((step) => step.kind === "process");
    return [state.device, {
      alive: guardians(state).some(({ pid }) => running.has(pid)),
      socket: socketOf(sockets, carriers.map(({ pid }) => pid)),
    }];
  }));
  return { reading, live };
}
