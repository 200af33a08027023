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
  /**
   * What is being done now, in place of what was done before; without a text,
   * nothing that is worth telling. Shown on a terminal only.
   */
  step?(text?: string): void;
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

// To the start of the line, and erase it (ECMA-48 EL).
const CLEAR_LINE = "\r\x1b[K";

/** The time since the program's start, for what `-d` prints. */
export function elapsed(): string {
  return `${(performance.now() / 1000).toFixed(3)} s`;
}

class StderrHandler extends BaseHandler {
  readonly #encoder = new TextEncoder();
  #step = "";

  override log(message: string): void {
    // A step gives way to what is said, and stands below it.
    const clear = this.#step === "" ? "" : CLEAR_LINE;
    this.#write(`${clear}${message}\n${this.#step}`);
  }

  /** Shows a step in the place of the one before; none without a text. */
  step(text: string): void {
    if (text === this.#step) return;
    this.#write((this.#step === "" ? "" : CLEAR_LINE) + text);
    this.#step = text;
  }

  #write(text: string): void {
    try {
      // stderr is unbuffered, as it is in C: what was said is out, even if
      // the next thing is a SIGKILL.
      writeAllSync(this.#encoder.encode(text));
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

/** How much {@linkcode stderrLog} says. */
export interface StderrOptions {
  /** Also every command that is run. */
  readonly debug: boolean;
  /** Only errors, and what to do about them. */
  readonly quiet?: boolean;
  /** The columns of the terminal on which steps are shown; none, without. */
  readonly columns?: number | undefined;
}

/** A log that writes to stderr. */
export function stderrLog(options: StderrOptions): Log {
  const { debug, quiet = false, columns } = options;
  const level = debug ? "DEBUG" : quiet ? "ERROR" : "INFO";
  const formatter = (record: { msg: string }) => record.msg;
  const handler = new StderrHandler(level, { formatter });
  const logger = new Logger("pvpn", level, { handlers: [handler] });
  // A hint belongs to what was said before it.
  let failed = false;
  const lines = (prefix: string, text: string) =>
    text.split("\n").map((line) => prefix + printable(line)).join("\n");
  return {
    // Of whole scripts, which are not to be taken apart for nobody.
    debug: (message) => debug && logger.debug(lines("", message)),
    info: (message) => void logger.info(lines("pvpn: ", message)),
    warn: (message) => void logger.warn(lines("pvpn: warning: ", message)),
    error(message) {
      failed = true;
      logger.error(lines("pvpn: error: ", message));
    },
    hint(message) {
      const text = lines("pvpn: hint: ", message);
      if (failed) logger.error(text);
      else logger.info(text);
    },
    step(text) {
      if (columns === undefined || debug || quiet) return;
      const line = text === undefined ? "" : `pvpn: ${printable(text)} ...`;
      // One that breaks could not be cleared.
      handler.step(line.slice(0, Math.max(columns - 1, 0)));
    },
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
