/**
 * What only the machine knows of a tunnel, and only now: whether its processes
 * run, what has gone through its device, and how far away its server is.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { alive, type ProcessId } from "./process.ts";
import { connections, type Socket, socketOf } from "./sockets.ts";
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

// Deno may open nothing below /sys without all permissions.
const READ_COUNTERS = `
for device; do
  at=/sys/class/net/$device/statistics
  read -r received 2>/dev/null <"$at/rx_bytes" &&
    read -r sent 2>/dev/null <"$at/tx_bytes" && echo "$device $received $sent"
done
exit 0
`.trim();

/** Reads what has gone through devices. */
export async function readCounters(
  devices: readonly string[],
  runner: Runner,
): Promise<Reading> {
  const counters = new Map<string, Counters>();
  if (devices.length > 0) {
    const argv = ["sh", "-c", READ_COUNTERS, "pvpn", ...devices];
    const { stdout } = await runner.query(argv);
    for (const line of stdout.split("\n")) {
      const [, device, received, sent] = /^(\S+) (\d+) (\d+)$/.exec(line) ?? [];
      if (device === undefined) continue;
      counters.set(device, { received: Number(received), sent: Number(sent) });
    }
  }
  return { at: performance.now(), counters };
}

/** Who looks after a tunnel: a pvpn that is at work on it, or its keeper. */
function guardians(state: TunnelState): ProcessId[] {
  return state.owner !== undefined
    ? [state.owner]
    : state.undo.filter((step) => step.kind === "process");
}

/** Looks at tunnels. */
export async function look(
  states: readonly TunnelState[],
  runner: Runner,
): Promise<Map<string, Live>> {
  if (states.length === 0) return new Map();
  const [running, sockets] = await Promise.all([
    alive(runner, states.flatMap(guardians)),
    connections(runner),
  ]);
  return new Map(states.map((state) => {
    const carriers = state.undo.filter((step) => step.kind === "process");
    return [state.device, {
      alive: guardians(state).some(({ pid }) => running.has(pid)),
      socket: socketOf(sockets, carriers.map(({ pid }) => pid)),
    }];
  }));
}
