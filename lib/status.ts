/**
 * Status: `-l`.
 *
 * @module
 */
import { printable } from "./log.ts";
import type { TunnelState } from "./state.ts";

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
