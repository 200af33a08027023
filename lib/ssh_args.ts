/**
 * `SSH_ARGS`: options that the user adds to ssh's command line. Split as a
 * shell splits words, and never evaluated as a shell would.
 *
 * @module
 */
import { UsageError } from "./errors.ts";

/**
 * Splits text into words by the quoting rules of POSIX sh (XCU 2.2): blanks
 * separate, `'...'`, `"..."` and a backslash quote. `$`, backquotes, `*`, `;`
 * and all else stand for themselves.
 *
 * @throws {UsageError} Where a quote is not closed, or a backslash ends it.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  // A blank; a quoted run; an escape; a plain run; or a stray quote.
  const token =
    /([ \t\n]+)|'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])|([^ \t\n'"\\]+)|['"\\]/gy;
  for (const match of text.matchAll(token)) {
    const [all, blank, single, double, escaped, plain] = match;
    if (blank !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    if (escaped === "\n") continue; // joins two lines, and is no word
    const part = single ?? plain ?? unescape(double, escaped);
    if (part === undefined) {
      throw new UsageError(
        all === "\\"
          ? "SSH_ARGS ends in a backslash"
          : `SSH_ARGS has a ${all} that is not closed`,
        `it is: ${text}`,
        `quote it as for a shell: SSH_ARGS="-i 'my key' -p 2222"`,
      );
    }
    word = (word ?? "") + part;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** What a backslash quotes, inside of `"` and outside; a newline goes. */
function unescape(double?: string, escaped?: string): string | undefined {
  if (escaped !== undefined) return escaped;
  return double?.replace(
    /\\([$`"\\\n])/g,
    (_, quoted) => quoted === "\n" ? "" : quoted,
  );
}

// The options of ssh(1), 7.8 to 10.x, that take a value and are not refused.
const TAKE_VALUE = "BbcDEeFIiJLlmoPpR";

/** The longest word, in characters: more is no option, but a mistake. */
const MAX_WORD = 4096;

/** Options that would take the tunnel, or pvpn's hold on it, away. */
const REFUSED: Readonly<Record<string, string>> = {
  f: "pvpn holds the one ssh process itself, and goes to the background later",
  G: "it only prints a configuration",
  M: "a tunnel has its own connection; it cannot be shared",
  N: "the set-up of the server is a remote command",
  n: "the server undoes its set-up when ssh's input ends",
  O: "it only talks to another ssh",
  Q: "it only prints what ssh supports",
  s: "the set-up of the server is a remote command",
  S: "a tunnel has its own connection; it cannot be shared",
  t: "the set-up of the server runs without a terminal",
  V: "it only prints a version",
  W: "it forwards input and output, which carry the set-up",
  w: "pvpn chooses the tunnel devices",
};

/**
 * Parses `SSH_ARGS`.
 *
 * @param text The variable's value.
 * @returns The words, to stand before pvpn's own options: the first value
 * that ssh gets for an option wins (ssh_config(5)).
 * @throws {UsageError} Where it cannot be split, has a control character,
 * holds an option that would end or replace the tunnel, or a host.
 */
export function parseSshArgs(text: string): string[] {
  return checkSshArgs(splitWords(text));
}

/**
 * Checks the words of `SSH_ARGS`, as they were typed or written down.
 *
 * @throws {UsageError} See {@linkcode parseSshArgs}.
 */
export function checkSshArgs(words: string[]): string[] {
  // deno-lint-ignore no-control-regex
  if (words.some((word) => /[\x00-\x1f\x7f]/.test(word))) {
    throw new UsageError(
      "SSH_ARGS has a control character in it",
      "it is one line, such as SSH_ARGS='-p 2222'",
    );
  }
  if (words.some((word) => word.length > MAX_WORD)) {
    throw new UsageError(`SSH_ARGS has a word of over ${MAX_WORD} characters`);
  }
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (!/^-[^-]/.test(word)) {
      throw new UsageError(
        `"${word}" in SSH_ARGS is not an option of ssh`,
        "SSH_ARGS is for options only; the host is pvpn's argument",
      );
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      const why = REFUSED[letter];
      if (why !== undefined) {
        throw new UsageError(
          `ssh's option -${letter} cannot be used in SSH_ARGS: ${why}`,
        );
      }
      if (!TAKE_VALUE.includes(letter)) continue;
      if (at === word.length - 1 && ++i === words.length) {
        throw new UsageError(
          `ssh's option -${letter} in SSH_ARGS lacks its value`,
        );
      }
      break;
    }
  }
  return words;
}
