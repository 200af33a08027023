/**
 * Status: `-l`, and `--types`.
 *
 * @module
 */
import { printable } from "./log.ts";
import type { Broken, Found } from "./registry.ts";
import type { TunnelState } from "./state.ts";

/** A table for people: one line a row, columns aligned, remarks below. */
function formatTable(
  rows: readonly (readonly string[])[],
  remarks: readonly string[],
): string {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd()
  );
  return [...lines, ...remarks]
    .map((line) => printable(line).replace(/[\t\n]/g, " ") + "\n").join("");
}

/** The tunnels, one line each, and below why some are not up. */
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
  const problems = states.flatMap(({ device, problem }) =>
    problem === undefined ? [] : [`${device}: ${problem}`]
  );
  return formatTable(rows, problems);
}

/** The tunnel types, one line each, and below why some cannot be used. */
export function formatTypes(types: readonly (Found | Broken)[]): string {
  const rows = types.map((found) =>
    "plugin" in found
      ? [
        found.plugin.type,
        found.file ?? "built in",
        found.plugin.commands.join(","),
        found.plugin.summary,
      ]
      : [found.type, found.file, "-", "cannot be used"]
  );
  const problems = types.flatMap((found) =>
    "problem" in found ? [`${found.type}: ${found.problem}`] : []
  );
  return formatTable(
    [["TYPE", "SOURCE", "RUNS", "SUMMARY"], ...rows],
    problems,
  );
}
