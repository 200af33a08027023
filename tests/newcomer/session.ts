/** What README.md and pvpn(8) show somebody to type, and what they say comes. */

/** A command as it is shown. */
export interface Step {
  /** What stands before it: `$` for a user, `#` for root. */
  readonly prompt: string;
  /** The command. */
  readonly command: string;
  /** What is shown below it; `...` stands for lines that are left out. */
  readonly output: readonly string[];
}

/** A block of text with commands in it. */
export type Session = readonly Step[];

/** The steps of a block; none where it does not begin with a prompt. */
export function stepsOf(lines: readonly string[]): Step[] {
  const steps: { prompt: string; command: string; output: string[] }[] = [];
  for (const line of lines) {
    const [, prompt, command] = /^([$#]) (.*)$/.exec(line) ?? [];
    if (prompt && command) steps.push({ prompt, command, output: [] });
    else if (steps.length > 0) steps.at(-1)!.output.push(line);
    else return [];
  }
  return steps;
}

/** The code blocks of Markdown that are in no language, as lines. */
export function blocksOf(markdown: string): string[][] {
  const blocks = markdown.matchAll(/^```(\w*)\n([^]*?)^```$/gm);
  return [...blocks].filter(([, language]) => !language)
    .map(([, , text = ""]) => text.trimEnd().split("\n"));
}

/** The code within Markdown's text that a pattern matches, each on one line. */
export function inlineOf(markdown: string, pattern: RegExp): string[] {
  const text = markdown.replaceAll(/^```[^]*?^```$/gm, "");
  return [...text.matchAll(/`([^`]+)`/g)]
    .map(([, code = ""]) => code.replaceAll(/\s+/g, " "))
    .filter((code) => pattern.test(code));
}

/** The literal lines and blocks of mdoc(7), each with the section it is in. */
export function literalsOf(
  page: string,
): { section: string; lines: string[] }[] {
  const found: { section: string; lines: string[] }[] = [];
  const plain = (text: string) =>
    text.replace(/^\\&/, "").replaceAll("\\-", "-").replaceAll("\\e", "\\");
  for (const part of page.split(/^(?=\.Sh )/m)) {
    const [, section = ""] = /^\.Sh (.*)$/m.exec(part) ?? [];
    const literals = part.matchAll(
      /^\.Dl (.*)$|^\.Bd -literal.*\n([^]*?)^\.Ed$/gm,
    );
    for (const [, line, block = ""] of literals) {
      const lines = line === undefined ? block.trimEnd().split("\n") : [line];
      found.push({ section, lines: lines.map(plain) });
    }
  }
  return found;
}

/** What differs from one time to the next. */
const VARIABLE: readonly (readonly [RegExp, string])[] = [
  [/\b\d{4}-\d\d-\d\dT?[\d:. ]+Z?/g, "DATE "],
  [/(?:\b\d+ (?:d|h|min|s)\b ?)+/g, "TIME "],
  [/\b[\d.]+ [kMGT]?B(?:\/s)?/g, "BYTES"],
  [/\b(?:[\da-f]{1,4}:){2,}[\da-f:]*/g, "IPV6"],
  [/\d+(?:\.\d+)*/g, "0"],
  [/ +/g, " "],
];

/** A line without what differs from one time to the next. */
export function shape(line: string): string {
  return VARIABLE.reduce(
    (text, [pattern, word]) => text.replace(pattern, word),
    line,
  ).trim();
}

/** Why an output is not of the shape that is shown; `undefined` where it is. */
export function mismatch(
  shown: readonly string[],
  actual: readonly string[],
): string | undefined {
  const fits = (at: number, line: number): boolean => {
    if (at === shown.length) return line === actual.length;
    if (shown[at]!.trim() === "...") {
      return fits(at + 1, line) || line < actual.length && fits(at, line + 1);
    }
    return line < actual.length && shape(shown[at]!) === shape(actual[line]!) &&
      fits(at + 1, line + 1);
  };
  if (fits(0, 0)) return undefined;
  return `shown:\n${shown.join("\n")}\nin fact:\n${actual.join("\n")}`;
}
