/**
 * What the program says on stderr, and how: lower case, no full stop, one
 * line each, never a control character. The only file that knows `@std/log`.
 *
 * stdout carries only what was asked for, and is written by `cli.ts` alone.
 *
 * @module
 */
import { BaseHandler } from "@std/log/base-handler";
import { Logger } from "@std/log/logger";

/** Where messages go. Plugins get one as `context.log`. */
export interface Log {
  /** What is run, on either end, as it could be pasted; shown with `-d`. */
  debug(message: string): void;
  /** What a user should know. */
  info(message: string): void;
  /** What a user should look at. */
  warn(message: string): void;
  /** Why the run fails. */
  error(message: string): void;
  /** What to do or type next. */
  hint(message: string): void;
}

// C0 without tab and newline, DEL, C1, and the characters that change the
// direction or the lines of a terminal's text (Unicode TR36).
const CONTROL_REGEXP =
  // deno-lint-ignore no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Text from outside in a form that a terminal shows and does not obey.
 *
 * @param text Anything, such as what a server printed.
 * @returns `text` with each control character shown as `?`.
 */
export function printable(text: string): string {
  return text.replace(CONTROL_REGEXP, "?");
}

class StderrHandler extends BaseHandler {
  readonly #encoder = new TextEncoder();

  override log(message: string): void {
    try {
      // stderr is unbuffered, as it is in C: what was said is out, even if
      // the next thing is a SIGKILL.
      writeAllSync(this.#encoder.encode(message + "\n"));
    } catch {
      // Its reader has gone (`pvpn ... 2>&1 | head`), or its disk is full:
      // there is nobody to tell. The work, and above all its undo, goes on.
    }
  }
}

function writeAllSync(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    at += Deno.stderr.writeSync(bytes.subarray(at));
  }
}

/**
 * A log that writes to stderr.
 *
 * @param options `debug`: also shows every command that is run.
 */
export function stderrLog(options: { debug: boolean }): Log {
  const level = options.debug ? "DEBUG" : "INFO";
  const formatter = (record: { msg: string }) => record.msg;
  const logger = new Logger("pvpn", level, {
    handlers: [new StderrHandler(level, { formatter })],
  });
  const lines = (prefix: string, text: string) =>
    text.split("\n").map((line) => prefix + printable(line)).join("\n");
  return {
    debug: (message) => void logger.debug(lines("", message)),
    info: (message) => void logger.info(lines("pvpn: ", message)),
    warn: (message) => void logger.warn(lines("pvpn: warning: ", message)),
    error: (message) => void logger.error(lines("pvpn: error: ", message)),
    hint: (message) => void logger.info(lines("pvpn: hint: ", message)),
  };
}

/** A log that keeps silent: what a program that embeds pvpn starts with. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  hint() {},
};
