/**
 * What can go wrong, as types: every error that a user may meet is a
 * {@linkcode PvpnError} with an exit status and, where there is a way out, a
 * hint that says what to type.
 *
 * @module
 */

/** The exit statuses of the program; part of its interface for scripts. */
export const ExitCode = {
  /** Done; also `--help` and `--version`. */
  ok: 0,
  /** A bug, or a failure that no other status describes. */
  unexpected: 1,
  /** The command line, `SSH_ARGS` or a configuration is wrong. */
  usage: 2,
  /** Not run as root. */
  notRoot: 3,
  /** A program that pvpn runs is not installed on this machine. */
  missingProgram: 4,
  /** ssh could not connect or authenticate. */
  ssh: 5,
  /** The server refused the tunnel, or lacks something. */
  server: 6,
  /** Devices, addresses, routes or rules could not be set up here. */
  network: 7,
  /** Resolvers could not be set up. */
  dns: 8,
  /** No such tunnel, or its state cannot be read or written. */
  state: 9,
  /** Ended by SIGINT, SIGTERM or SIGHUP. */
  interrupted: 130,
} as const;

/** One of the values of {@linkcode ExitCode}. */
export type ExitCode = typeof ExitCode[keyof typeof ExitCode];

/** An error whose text is meant for the user: the cause first, in words. */
export class PvpnError extends Error {
  /** The class's name. */
  override readonly name: string = "PvpnError";
  /** The exit status with which the program ends. */
  readonly code: ExitCode;
  /** What to do or type next; one line each. */
  readonly hints: readonly string[];

  /**
   * Makes an error.
   *
   * @param code The exit status with which the program ends.
   * @param message The cause: lower case, no full stop, values quoted.
   * @param hints What to do or type next; one line each.
   * @param options As for `Error`.
   */
  constructor(
    code: ExitCode,
    message: string,
    hints: readonly string[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.hints = hints;
  }
}

/** A tunnel type cannot be had between two machines; another may be. */
export class UnfitError extends PvpnError {
  /** The class's name. */
  override readonly name = "UnfitError";
}

/** A command line that cannot be understood; exit status 2. */
export class UsageError extends PvpnError {
  /** The class's name. */
  override readonly name = "UsageError";

  /**
   * Makes an error.
   *
   * @param message The cause.
   * @param hints What to do or type next; one line each.
   */
  constructor(message: string, ...hints: string[]) {
    super(ExitCode.usage, message, hints);
  }
}

/** The run was ended by a signal; exit status 130. */
export class InterruptedError extends PvpnError {
  /** The class's name. */
  override readonly name = "InterruptedError";

  /**
   * Makes an error.
   *
   * @param signal The signal's name, such as `SIGINT`.
   */
  constructor(signal: string) {
    super(ExitCode.interrupted, `interrupted by ${signal}`);
  }
}
