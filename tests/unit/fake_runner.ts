/** A {@linkcode Runner} that knows beforehand what it is asked for, and how often. */
import { assert, assertEquals } from "@std/assert";
import type {
  Argv,
  CommandOutput,
  Runner,
  RunningCommand,
  RunOptions,
} from "../../lib/command.ts";
import { CommandError } from "../../lib/command.ts";

/** One command that has to come next, and what it leaves. */
export interface Expected {
  /** Whether it may change the machine. */
  readonly kind: "query" | "change";
  /** All of its argument vector; a `RegExp` fits one word. */
  readonly argv: readonly (string | RegExp)[];
  /** All of its standard input; none without. */
  readonly input?: string;
  /** What it leaves; without a part, 0 and nothing. */
  readonly output?: Partial<CommandOutput>;
}

/** Expects a command that changes nothing. */
export function query(
  argv: Expected["argv"],
  output: Expected["output"] = {},
): Expected {
  return { kind: "query", argv, output };
}

/** Expects a command that may change the machine. */
export function change(
  argv: Expected["argv"],
  input?: string,
  output: Expected["output"] = {},
): Expected {
  return input === undefined
    ? { kind: "change", argv, output }
    : { kind: "change", argv, input, output };
}

/** Expects `ip -batch`; `lines` are all that it reads. */
export function batch(
  argv: Expected["argv"],
  lines: readonly string[],
  output: Expected["output"] = {},
): Expected {
  const input = lines.map((line) => line + "\n").join("");
  return change([...argv, "-batch", "-"], input, output);
}

/**
 * Expects that processes are ended; beside that, what an `expected` runs.
 *
 * @param ids Their pids and start times.
 * @param said Whether they have all gone; nothing where the shell has failed.
 */
export function endOf(
  ids: string,
  expected?: Expected,
  said: "ended" | "stays" | "" = "ended",
): Expected {
  const { argv = [], input = "", output = {} } = expected ?? {};
  const { status = 0 } = output;
  return change(
    ["sh", "-c", /^alive\(\)/, "pvpn", "end", ids, input, ...argv],
    undefined,
    {
      ...output,
      stdout: said === "" ? "" : `${said} 0\n${status}\n`,
      status: said === "" ? status : 0,
    },
  );
}

/** Lines that arrive when the test says so. */
export class Lines implements AsyncIterable<string> {
  readonly #stream: ReadableStream<string>;
  #controller!: ReadableStreamDefaultController<string>;

  constructor(...lines: string[]) {
    this.#stream = new ReadableStream({
      start: (controller) => void (this.#controller = controller),
    });
    this.push(...lines);
  }

  push(...lines: string[]): void {
    for (const line of lines) this.#controller.enqueue(line);
  }

  end(): void {
    this.#controller.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    yield* this.#stream;
  }
}

/** A started command: what it was, what it reads, what it prints. */
export class FakeProcess implements RunningCommand {
  readonly written: string[] = [];
  readonly stdout = new Lines();
  readonly stderr = new Lines();
  released = 0;

  constructor(readonly argv: Argv) {}

  /** Called with each text that is written to it. */
  onWrite: (text: string) => void = () => {};

  write(text: string): Promise<void> {
    this.written.push(text);
    this.onWrite(text);
    return Promise.resolve();
  }

  release(): Promise<void> {
    this.released++;
    return Promise.resolve();
  }
}

/** Runs nothing, and fails at whatever is not next on its list. */
export class FakeRunner implements Runner {
  readonly dry = false;
  readonly started: FakeProcess[] = [];
  readonly #expected: Expected[];
  readonly #start: (started: FakeProcess) => void;
  #wrong: unknown;

  constructor(
    expected: readonly Expected[],
    start?: (started: FakeProcess) => void,
  ) {
    this.#expected = [...expected];
    this.#start = start ?? ((started) => {
      throw this.#wrong = new Error(`unexpected start: ${started.argv}`);
    });
  }

  query(argv: Argv, options: RunOptions = {}): Promise<CommandOutput> {
    return this.#run("query", argv, options);
  }

  change(argv: Argv, options: RunOptions = {}): Promise<CommandOutput> {
    return this.#run("change", argv, options);
  }

  start(argv: Argv): RunningCommand {
    const process = new FakeProcess(argv);
    this.started.push(process);
    this.#start(process);
    return process;
  }

  // deno-lint-ignore require-await -- to reject, not to throw
  async #run(
    kind: Expected["kind"],
    argv: Argv,
    { input, anyStatus }: RunOptions,
  ): Promise<CommandOutput> {
    const next = this.#expected.shift();
    try {
      assert(next !== undefined, `unexpected ${kind}: ${argv.join(" ")}`);
      const wanted = next.argv.map((word, i) =>
        typeof word === "string" || !word.test(argv[i] ?? "") ? word : argv[i]
      );
      assertEquals(
        { kind, argv: [...argv], input },
        { kind: next.kind, argv: wanted, input: next.input } as unknown,
      );
    } catch (error) {
      throw this.#wrong = error; // also where the code under test catches it
    }
    const output = { status: 0, stdout: "", stderr: "", ...next.output };
    if (output.status !== 0 && !anyStatus) throw new CommandError(argv, output);
    return output;
  }

  /** Fails where a command was wrong, or one that was expected did not come. */
  done(): void {
    if (this.#wrong !== undefined) throw this.#wrong;
    assertEquals(this.#expected, [], "not all expected commands were run");
  }
}

/** Lends a {@linkcode FakeRunner}, and checks afterwards that all was run. */
export async function withRunner<T>(
  expected: readonly Expected[],
  use: (runner: FakeRunner) => Promise<T>,
): Promise<T> {
  const runner = new FakeRunner(expected);
  const result = await use(runner);
  runner.done();
  return result;
}
