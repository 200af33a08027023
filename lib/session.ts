/**
 * One run of the process that carries a tunnel, from its start to the ready
 * line of the server's script.
 *
 * @module
 */
import type { Argv, Runner } from "./command.ts";
import type { PvpnError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { Keeper, type KeeperOptions } from "./keeper.ts";
import { elapsed, type Log } from "./log.ts";
import { type Login, readLogin } from "./login.ts";
import { QuickAck } from "./quick_ack.ts";
import { type RemoteFacts, RemoteReader } from "./remote.ts";
import type { RemoteRequest, RemoteScript } from "./remote_script.ts";
import {
  DEBUG_REGEXP,
  ended,
  endless,
  lateLogin,
  lateReady,
  LOGIN_DEADLINE,
  READY_DEADLINE,
} from "./session_failure.ts";
import { explainSshFailure, findCause } from "./ssh_failure.ts";
import type { CarryOptions } from "./tunnel.ts";

/** For what is on its way when the server's command, or ssh, has ended. */
const LINGER = 1000;
/** Until then, the carrier has to be ready without what has ended. */
const LINGER_BESIDE = 10_000;
/** Lines that are kept to explain a failure. */
const KEPT_LINES = 200;
/** Lines after which a server that is not ready is only making noise. */
const LINE_LIMIT = 5000;

/** What {@linkcode carry} needs. */
export interface CarryContext extends SessionContext {
  /** What the server's script was sent with. */
  readonly request: RemoteRequest;
  /** The tunnel type's part of that script. */
  readonly script: RemoteScript;
}

/** What {@linkcode converse} needs. */
export interface SessionContext extends KeeperOptions, CarryOptions {
  /** Runs the keeper. */
  readonly runner: Runner;
  /** Where the keeper is recorded before it runs anything. */
  readonly journal: Journal;
  /** Shows what ssh says. */
  readonly log: Log;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** SSH-HOST, for messages. */
  readonly host: string;
  /** The server's TCP port, where ssh itself connects to it. */
  readonly port?: number;
  /** The remote command, which ssh repeats in what it says. */
  readonly command: string;
  /** What may help where the login is refused, beside the usual. */
  readonly loginHints: readonly string[];
  /** Whether everything that ssh says is shown. */
  readonly verbose: boolean;
  /** Called when ssh says that it has logged in: its connection is there. */
  readonly authenticated: (keeper: Keeper, login: Login) => void;
  /** Called when the server has said that its end is ready. */
  readonly found?: (keeper: Keeper) => void;
}

/** A carrier that is ready. */
export interface Carrier<Facts = RemoteFacts> {
  /** The process that keeps it. */
  readonly keeper: Keeper;
  /** What the server's script found. */
  readonly facts: Facts;
}

/** Reads what a script on the server says. */
export interface Reader<Facts> {
  /** The facts at the last line, true for another of its own, else false. */
  read(line: string): Facts | boolean;
}

const CONNECTED_REGEXP = /^debug1: Connection established/;

/** What ssh says when the server's command has ended. */
const EXITED_REGEXP = /^debug1: client_input_channel_req: .* rtype exit-status/;

/**
 * Starts a keeper with the carrier, and waits until the server is ready.
 *
 * @param argv The carrier's argument vector.
 * @param context The rest.
 * @throws {PvpnError} Why it is not ready; what was started has ended.
 */
export function carry(argv: Argv, context: CarryContext): Promise<Carrier> {
  const reader = new RemoteReader(context.request, context.script);
  return converse(argv, context, reader);
}

/**
 * Starts a keeper with ssh, and waits until a script on the server has said
 * all that it has to say.
 *
 * @throws {PvpnError} See {@linkcode carry}.
 */
export async function converse<Facts extends object>(
  argv: Argv,
  context: SessionContext,
  reader: Reader<Facts>,
): Promise<Carrier<Facts>> {
  const { runner, journal, signal } = context;
  const [keeper, done] = await Promise.allSettled([
    Keeper.start(argv, context, runner),
    context.prepared,
  ]);
  if (keeper.status === "rejected") throw keeper.reason;
  const { value } = keeper;
  try {
    if (done.status === "rejected") throw done.reason;
    await journal.record({ kind: "process", ...value.id });
    signal.throwIfAborted();
    context.log.step?.();
    await value.go();
    return { keeper: value, facts: await ready(value, context, reader) };
  } catch (error) {
    await value.release(); // without "go" it ends now
    await journal.undo(runner, (step) => step.kind === "process");
    throw error;
  }
}

/** A promise that rejects when the signal is aborted, or a deadline passes. */
class Deadline {
  readonly #reject = Promise.withResolvers<never>();
  readonly #signal: AbortSignal;
  readonly #abort = () => this.#reject.reject(this.#signal.reason);
  #timer: number | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#abort);
    if (signal.aborted) this.#abort();
    this.#reject.promise.catch(() => {}); // raced below, or not at all
  }

  get promise(): Promise<never> {
    return this.#reject.promise;
  }

  /** Sets when it passes, and what it rejects with then. */
  set(milliseconds: number, error: () => PvpnError): void {
    clearTimeout(this.#timer);
    const reject = () => this.#reject.reject(error());
    this.#timer = setTimeout(reject, milliseconds);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#abort);
  }
}

/**
 * Finds the lines of "debug1: Sending command: ..." behind its first: the
 * script has many lines, and ssh cuts what it logs after 1 KiB (log.c).
 */
class CommandEcho {
  readonly #expected: readonly string[];
  #next = 0;

  constructor(command: string) {
    this.#expected = command.split("\n");
  }

  /** Whether `line` repeats a part of the command. */
  includes(line: string): boolean {
    if (line.startsWith("debug1: Sending command: ")) {
      this.#next = 1;
      return true;
    }
    const expected = this.#next > 0 ? this.#expected[this.#next] : undefined;
    const text = line.replaceAll("\\\\", "\\");
    const whole = expected === text;
    this.#next = whole ? this.#next + 1 : 0;
    return whole || expected?.startsWith(text) === true;
  }
}

async function ready<Facts extends object>(
  keeper: Keeper,
  context: SessionContext,
  reader: Reader<Facts>,
): Promise<Facts> {
  const { host, until, loginHints, chatter, port } = context;
  await using quick = new QuickAck(context.runner);
  using deadline = new Deadline(context.signal);
  deadline.set(LOGIN_DEADLINE, () => lateLogin(host));
  const lines = keeper.stderr[Symbol.asyncIterator]();
  let waiting = true;
  const explain = (status: number) =>
    findCause(host, kept, loginHints) ?? context.explain?.(status, kept) ??
      (exited
        ? ended(host, kept, chatter, login)
        : explainSshFailure(host, kept, status));
  keeper.ended.then(async (status) => {
    if (!waiting) return;
    // It lets go of stderr now; who else has it open is not waited for.
    deadline.set(LINGER, () => explain(status));
    await keeper.acknowledge();
  });
  let facts: Facts | undefined;
  let local = until === undefined;
  let authenticated = false;
  let login: Login = {};
  let exited = false;
  const echo = new CommandEcho(context.command);
  const kept: string[] = [];
  using _done = { [Symbol.dispose]: () => void (waiting = false) };
  for (let count = 0; count < LINE_LIMIT; count++) {
    const next = await Promise.race([lines.next(), deadline.promise]);
    if (next.done) {
      const status = await Promise.race([keeper.ended, deadline.promise]);
      throw explain(status);
    }
    const line = next.value;
    const read = reader.read(line);
    // The server holds back from its login on, until there is a session.
    if (read) await quick[Symbol.asyncDispose]();
    else if (authenticated) await quick.received();
    if (typeof read === "object") {
      facts = read;
      context.found?.(keeper);
    }
    local ||= until?.(line) === true;
    if (facts !== undefined && local) return facts;
    if (read || echo.includes(line) || line === "") continue;
    if (kept.push(line) > KEPT_LINES) kept.shift();
    login = readLogin(login, line);
    if (!authenticated && line.startsWith("Authenticated to ")) {
      authenticated = true;
      deadline.set(
        READY_DEADLINE,
        () => context.explain?.(undefined, kept) ?? lateReady(host),
      );
      context.log.step?.(`setting up the end of ${host}`);
      context.authenticated(keeper, login);
    }
    if (!authenticated) {
      tellStep(line, context);
      if (port !== undefined && CONNECTED_REGEXP.test(line)) {
        quick.start(keeper.id.pid, port);
      }
    }
    show(line, context);
    // With a tunnel open, ssh stays when the server's command has ended. What
    // that printed may come behind its status. With several ssh processes, it
    // may be that of another.
    if (EXITED_REGEXP.test(line)) {
      exited = true;
      const another = facts !== undefined && context.tell !== undefined;
      deadline.set(
        another ? LINGER_BESIDE : LINGER,
        () => ended(host, kept, chatter, login),
      );
    }
  }
  throw endless(host);
}

/**
 * From when there is a connection until the login is done, ssh may ask on the
 * terminal, which is all ssh's then; with a proxy, at any time.
 */
function tellStep(line: string, { log, host }: SessionContext): void {
  if (line.startsWith("debug1: Connecting to ")) {
    log.step?.(`connecting to ${host}`);
  } else if (CONNECTED_REGEXP.test(line)) log.step?.();
}

function show(line: string, context: SessionContext): void {
  const { log, verbose, chatter } = context;
  if (verbose) {
    const ran = line.startsWith("+ server: ");
    return log.debug(ran ? `${line}  # ${elapsed()}` : line);
  }
  if (DEBUG_REGEXP.test(line) || chatter?.test(line) || !line.trim()) return;
  // Marked, or a server could speak as pvpn.
  log.info(line.startsWith("ssh: ") ? line : `ssh: ${line}`);
}
