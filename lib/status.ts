/**
 * Status: `-l`.
 *
 * @module
 */
import type { StateDir } from "./journal.ts";
import { printable } from "./log.ts";
import type { TunnelState } from "./state.ts";

/** All tunnels, in the order of their devices. */
export async function list(dir: StateDir): Promise<TunnelState[]> {
  const states: TunnelState[] = [];
  for (const device of await dir.devices()) {
    const state = await dir.read(device);
    if (state !== undefined) states.push(state);
  }
  return states;
}

/** A table for people: one line a tunnel. */
export function formatList(states: readonly TunnelState[]): string {
  const rows = [
    ["DEVICE", "TYPE", "STATE", "ADDRESSES", "HOST", "ROUTES"],
    ...states.map((state) => [
      state.device,
      state.type,
      state.phase,
      state.pair ?? "-",
      state.host,
      state.routes.join(" ") || "-",
    ]),
  ];
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
  );
  const problems = states.flatMap(({ device, problem }) =>
    problem === undefined ? [] : [`${device}: ${problem}`]
  );
  return [...lines, ...problems]
    .map((line) => printable(line).replace(/[\t\n]/g, " ") + "\n").join("");
}
