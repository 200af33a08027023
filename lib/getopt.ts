/**
 * Splits a command line into options and words, as getopt(3) reads it, by the
 * option table.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { type Option, OPTIONS } from "./options.ts";

/** Options and words, apart. */
export interface Split {
  /** The options' values, by their long names. */
  readonly values: Readonly<Record<string, unknown>>;
  /** SSH-HOST and ROUTEs. */
  readonly words: readonly string[];
}

/**
 * Splits a command line.
 *
 * @throws {UsageError} Where an option is unknown, or takes no value.
 */
export function split(args: readonly string[]): Split {
  const isFlag = ({ value }: Option) => value === undefined;
  const parsed = parseArgs(longOptions(args), {
    boolean: OPTIONS.filter(isFlag).map(({ long }) => long),
    string: ["_", ...OPTIONS.filter((o) => !isFlag(o)).map(({ long }) => long)],
    collect: OPTIONS.filter((o) => o.repeatable).map(({ long }) => long),
  });
  return { values: parsed, words: parsed._.map(String) };
}

/**
 * Rewrites arguments to one long option each, as getopt(3) reads them:
 * `-dtssh-3` to `--debug=true --type ssh-3`.
 */
function longOptions(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.flatMap((arg, index) => {
    if (end >= 0 && index >= end || !/^-[^]/.test(arg)) return [arg];
    return arg.startsWith("--") ? longOption(arg) : shortOptions(arg);
  });
}

function longOption(arg: string): string[] {
  const [, name, value] = /^--([^=]*)(?:=([^]*))?$/.exec(arg) ?? [];
  const option = OPTIONS.find(({ long }) => long === name);
  if (option === undefined) throw unknownOption(arg);
  if (option.value === undefined) {
    if (value === undefined) return [`--${name}=true`];
    throw new UsageError(`--${name} takes no value`);
  }
  if (value === "") throw new UsageError(`"${arg}" lacks its value`);
  return [arg];
}

function shortOptions(arg: string): string[] {
  const words: string[] = [];
  for (let at = 1; at < arg.length; at++) {
    const option = OPTIONS.find(({ short }) => short === arg[at]);
    if (option === undefined) throw unknownOption(arg);
    if (option.value === undefined) words.push(`--${option.long}=true`);
    else {
      const value = arg.slice(at + 1);
      words.push(`--${option.long}${value && `=${value.replace(/^=/, "")}`}`);
      break;
    }
  }
  return words;
}

/** Whether an option's value is more than what stands for none. */
export function isGiven(value: unknown): boolean {
  return Array.isArray(value)
    ? value.length > 0
    : value !== undefined && value !== false;
}

// Letters of ssh(1)'s options that pvpn has none of its own for.
const SSH_LETTERS = "46AaBbCcEeFgIJjKkLMmNOoPpQRTVWwXYy";

function unknownOption(arg: string): UsageError {
  const name = arg.replace(/=.*$/, "");
  if (!name.startsWith("--")) {
    return new UsageError(
      `unknown option "${name}"`,
      SSH_LETTERS.includes(name.charAt(1))
        ? `what is for ssh goes into SSH_ARGS: SSH_ARGS='${name} ...' pvpn ...`
        : "type pvpn --help for the options",
    );
  }
  const longs = OPTIONS.filter(({ group }) => group !== undefined)
    .map(({ long }) => long);
  const near = nearest(name.slice(2), longs);
  return new UsageError(
    `unknown option "${name}"`,
    near === undefined
      ? "type pvpn --help for the options"
      : `did you mean --${near}?`,
  );
}
