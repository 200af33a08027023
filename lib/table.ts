/**
 * Text for people in lines of a given width.
 *
 * @module
 */
import { printable } from "./log.ts";

/** What is written to. */
export interface Style {
  /** Whether it is a terminal's screen. */
  readonly terminal: boolean;
  /** Characters a line; Infinity where nobody looks at it on a screen. */
  readonly columns: number;
  /** Whether it shows colours. */
  readonly color: boolean;
}

/** For what goes into a file, or another program. */
export const PLAIN: Style = {
  ...{ terminal: false, columns: Infinity, color: false },
};

const COLORS = { red: 31, green: 32, yellow: 33 } as const;

/** A colour. */
export type Color = keyof typeof COLORS;

/** A text in a colour, where there are colours. */
export function colored(text: string, color: Color, style: Style): string {
  return style.color ? `\x1b[${COLORS[color]}m${text}\x1b[0m` : text;
}

/** One line of text that a terminal shows and does not obey. */
export function oneLine(text: string): string {
  return printable(text).replace(/[\t\n]/g, " ");
}

/** What of a text fits. */
export function cut(text: string, width: number): string {
  return text.length <= width
    ? text
    : text.slice(0, Math.max(width - 1, 0)) + "…";
}

/**
 * Breaks a text at its blanks.
 *
 * @param indent What stands before each line.
 */
export function wrap(text: string, indent: string, columns: number): string[] {
  const width = Math.max(columns - indent.length, 1);
  const lines: string[] = [];
  for (const word of oneLine(text).split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(cut(word, width));
  }
  return lines.map((line) => indent + line);
}

/** Aligns rows; the last column is cut where the lines would get too long. */
export function align(
  rows: readonly (readonly string[])[],
  columns = Infinity,
): string[][] {
  const shown = rows.map((row) => row.map(oneLine));
  const widths =
    shown[0]?.map((_, column) =>
      Math.max(...shown.map((row) => row[column]?.length ?? 0))
    ) ?? [];
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  return shown.map((row) =>
    row.map((cell, column) =>
      column < row.length - 1
        ? cell.padEnd(widths[column]!)
        : cut(cell, Math.max(columns - before, 8))
    )
  );
}
