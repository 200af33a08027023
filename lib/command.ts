/**
 * Runs programs: the only file that knows `Deno.Command`. Argument vectors
 * only; where a shell is run, its script is fixed text and values are its
 * arguments.
 *
 * @module
 */
import { ExitCode, PvpnError } from "./errors.ts";
import { elapsed, type Log } from "./log.ts";
import { pasteable, quoteAll } from "./quote.ts";
import { ignoreGone, linesOf, writeAll } from "./streams.ts";

/** The programs that the core runs; `plugins` declare theirs. */
export const COMMANDS: readonly string[] = [
  "env",
  "getent",
  "ip",
  "nft",
  "perl",
  "resolvconf",
  "resolvectl",
  "setpriv",
  "sh",
  "ss",
  "ssh",
];

/**
 * What plugins that are loaded at run time may run beside what the core and
 * the built-in types do: programs that carry packets, of widespread use.
 */
export const PLUGIN_COMMANDS: readonly string[] = ["wg"];

/**
 * The environment that programs get: what finds programs, keys and the
 * terminal. Nothing else passes from the caller (under sudo, from a user)
 * to what runs as root.
 */
export const ENVIRONMENT: readonly string[] = [
  "DISPLAY",
  "HOME",
  "KRB5CCNAME",
  "LANG",
  "LOGNAME",
  "PATH",
  "SHELL",
  "SSH_ASKPASS",
  "SSH_ASKPASS_REQUIRE",
  "SSH_AUTH_SOCK",
  "TERM",
  "USER",
  "WAYLAND_DISPLAY",
  "XAUTHORITY",
];

/** An argument vector: the program's name, and its arguments. */
export type Argv = readonly string[];

/** How a command is run. */
export interface RunOptions {
  /** What it reads on its standard input; without it, nothing. */
  readonly input?: string;
  /** Returns the output also where the exit status is not 0. */
  readonly anyStatus?: boolean;
}

/** What a command that has ended leaves. */
export interface CommandOutput {
  /** Its exit status; 128 and a signal's number, SIGPIPE's for unread input. */
  readonly status: number;
  /** What it printed. */
  readonly stdout: string;
  /** What it complained about. */
  readonly stderr: string;
}

/** A command that goes on running. */
export interface RunningCommand {
  /** Writes to its standard input. */
  write(text: string): Promise<void>;
  /** Its standard output, line by line; a line has at most 4 KiB. */
  readonly stdout: AsyncIterable<string>;
  /** Its standard error, line by line; a line has at most 4 KiB. */
  readonly stderr: AsyncIterable<string>;
  /** Lets go of it: ends its input. */
  release(): Promise<void>;
}

/** Something that runs commands: the machine, a dry run, or a test's fake. */
export interface Runner {
  /** Whether it changes nothing. */
  readonly dry: boolean;
  /** Runs a command that changes nothing. */
  query(argv: Argv, options?: RunOptions): Promise<CommandOutput>;
  /** Runs a command that changes this machine; a dry run only prints it. */
  change(argv: Argv, options?: RunOptions): Promise<CommandOutput>;
  /** Starts a command that stays. */
  start(argv: Argv): RunningCommand;
}

/** A command that ended with another exit status than 0. */
export class CommandError extends PvpnError {
  override readonly name = "CommandError";

  /**
   * @param argv What was run.
   * @param output What it left.
   */
  constructor(
    readonly argv: Argv,
    readonly output: CommandOutput,
  ) {
    const said = output.stderr.trim().split("\n").at(-1);
    const ended = `"${argv[0]}" failed with status ${output.status}`;
    super(
      ExitCode.network,
      said ? `${ended}: ${said}` : ended,
      [`it was run as: ${quoteAll(argv)}`],
    );
  }
}

function environment(): Record<string, string> {
  const kept = ENVIRONMENT.map((name) => [name, Deno.env.get(name)] as const)
    .filter((pair): pair is [string, string] => pair[1] !== undefined);
  return Object.fromEntries(kept);
}

/** Turns "not found", of a program, into words. */
function spawnError(error: unknown, program: string): unknown {
  const missing = error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.NotCapable;
  if (!missing) return error;
  return missingProgram(program, { cause: error });
}

const PACKAGES: ReadonlyMap<string, string> = new Map([
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["setpriv", "util-linux"],
  ["ss", "iproute2"],
  ["ssh", "openssh-client"],
]);

/** The error of a program that cannot be run. */
export function missingProgram(
  program: string,
  options?: ErrorOptions,
): PvpnError {
  const name = PACKAGES.get(program);
  return new PvpnError(
    ExitCode.missingProgram,
    `"${program}" is not installed on this machine, or not in PATH`,
    [
      name === undefined
        ? `PATH is ${Deno.env.get("PATH")}`
        : `install it; on Debian: apt install ${name}`,
    ],
    options,
  );
}

/** Runs commands on this machine. */
export class SystemRunner implements Runner {
  readonly dry: boolean = false;
  readonly #log: Log;

  /** @param log Gets each command as it could be pasted, for `-d`. */
  constructor(log: Log) {
    this.#log = log;
  }

  /** See {@linkcode Runner.query}. */
  async query(argv: Argv, options: RunOptions = {}): Promise<CommandOutput> {
    const { input } = options;
    this.#log.debug("+ " + pasteable(argv, input, elapsed()));
    const child = this.#spawn(argv, input === undefined);
    const written = input === undefined || writeAll(child.stdin, input);
    const [ended, all] = await Promise.all([child.output(), written]);
    const decoder = new TextDecoder();
    const output = {
      status: ended.code || (all ? 0 : 141), // half a batch is no success
      stdout: decoder.decode(ended.stdout),
      stderr: decoder.decode(ended.stderr),
    };
    if (output.status !== 0 && !options.anyStatus) {
      throw new CommandError(argv, output);
    }
    return output;
  }

  /** See {@linkcode Runner.change}. */
  change(argv: Argv, options: RunOptions = {}): Promise<CommandOutput> {
    return this.query(argv, options);
  }

  /** See {@linkcode Runner.start}. */
  start(argv: Argv): RunningCommand {
    this.#log.debug("+ " + pasteable(argv, undefined, elapsed()));
    const child = this.#spawn(argv, false);
    const stdin = child.stdin.getWriter();
    // The status is read by nobody: keepers say it themselves.
    child.unref();
    return {
      write: (text) =>
        stdin.write(new TextEncoder().encode(text)).catch(ignoreGone),
      stdout: linesOf(child.stdout),
      stderr: linesOf(child.stderr),
      release: () => stdin.close().catch(ignoreGone),
    };
  }

  #spawn(argv: Argv, noInput: boolean): Deno.ChildProcess {
    const [program = "", ...args] = argv;
    try {
      return new Deno.Command(program, {
        args,
        clearEnv: true,
        env: environment(),
        stdin: noInput ? "null" : "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      throw spawnError(error, program);
    }
  }
}

/**
 * Prints what would be run, and runs only what changes nothing: `-n`.
 */
export class DryRunner extends SystemRunner {
  override readonly dry = true;
  readonly #print: (line: string) => void;

  /**
   * @param log See {@linkcode SystemRunner}.
   * @param print Gets each command that would change something.
   */
  constructor(log: Log, print: (line: string) => void) {
    super(log);
    this.#print = print;
  }

  override change(
    argv: Argv,
    options: RunOptions = {},
  ): Promise<CommandOutput> {
    this.#print(pasteable(argv, options.input));
    return Promise.resolve({ status: 0, stdout: "", stderr: "" });
  }

  override start(argv: Argv): RunningCommand {
    this.#print(pasteable(argv));
    const nothing = (async function* (): AsyncGenerator<string> {})();
    return {
      write: () => Promise.resolve(),
      stdout: nothing,
      stderr: nothing,
      release: () => Promise.resolve(),
    };
  }
}
