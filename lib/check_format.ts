/**
 * What `--check` found, for people.
 *
 * @module
 */
import type { CheckReport, CheckRow } from "./check.ts";
import { type Color, colored, oneLine, type Style, wrap } from "./table.ts";

const COLOR_OF: Readonly<Record<CheckRow["status"], Color>> = {
  ...{ ok: "green", warning: "yellow", missing: "red" },
};

const WIDTH = "warning".length;

/** A line for each check, and what mends it, to be copied, below that. */
export function formatCheck(report: CheckReport, style: Style): string {
  const lines = (end: CheckRow["end"]) =>
    report.checks.filter((row) => row.end === end).flatMap((row) => {
      const status = colored(
        row.status.padEnd(WIDTH),
        COLOR_OF[row.status],
        style,
      );
      const [first = "", ...rest] = wrap(
        `${row.name}: ${row.detail}`,
        " ".repeat(WIDTH + 4),
        style.columns,
      );
      return [
        `  ${status}  ${first.trimStart()}`,
        ...rest,
        // Whole, however long: it is to be pasted.
        ...row.fix.map((fix) => " ".repeat(WIDTH + 4) + "fix: " + oneLine(fix)),
      ];
    });
  const server = report.host === null
    ? []
    : [`${oneLine(report.host)}:`, ...lines("server")];
  const types = report.types.map(({ type, usable, missing }) =>
    usable
      ? `  ${type} can be used`
      : `  ${type} cannot be used; missing: ${missing.join(", ")}`
  );
  const all = [
    ...["This machine:", ...lines("client"), ...server],
    ...["Tunnel types:", ...types],
  ];
  return all.map((line) => line + "\n").join("");
}
