/** A pvpn that is at work, watched line by line, for tests that disturb it. */
import { assertEquals } from "@std/assert";
import { changes, settled } from "./snapshot.ts";
import type { Lab, Node } from "./lab.ts";
import { deadline } from "./deadline.ts";
import { pvpnBinary } from "./pvpn.ts";

/** How it ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A pvpn on the client. */
export interface Running {
  /** Resolves when the line with this number (from 0) was said on stderr. */
  line(number: number): Promise<void>;
  /** Resolves with the number of the first line like this, from one on. */
  find(pattern: RegExp, from?: number): Promise<number>;
  /** Resolves with the first line of stdout; undefined if there is none. */
  readonly firstOutput: Promise<string | undefined>;
  /** Signals it, as `kill` on the client would. */
  kill(signal: Deno.Signal): Promise<void>;
  /** Resolves when it has ended. */
  readonly ended: Promise<Ended>;
}

async function* lines(stream: ReadableStream<Uint8Array>) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  if (rest !== "") yield rest;
}

/** Starts pvpn on the client. */
export function start(
  lab: Lab,
  args: readonly string[],
  env: Record<string, string> = {},
  program: string = pvpnBinary(),
): Running {
  const child = lab.client.spawn([program, ...args], { env });
  const pid = lab.client.pidOf(child);
  const errors: string[] = [];
  const output: string[] = [];
  const waiting: { number: number; resolve: () => void }[] = [];
  const line = (number: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push({ number, resolve });
    wake(false);
    return promise;
  };
  const first = Promise.withResolvers<string | undefined>();
  const wake = (all: boolean) => {
    for (const { number, resolve } of waiting) {
      if (all || errors.length > number) resolve();
    }
  };
  const readErrors = (async () => {
    for await (const line of lines(child.stderr)) {
      errors.push(line);
      wake(false);
    }
    wake(true);
  })();
  const readOutput = (async () => {
    for await (const line of lines(child.stdout)) {
      output.push(line);
      first.resolve(line);
    }
    first.resolve(undefined);
  })();
  return {
    firstOutput: first.promise,
    line,
    async find(pattern, from = 0) {
      for (let number = from;; number++) {
        await line(number);
        const text = errors[number];
        if (text === undefined) throw new Error(`it never said ${pattern}`);
        if (pattern.test(text)) return number;
      }
    },
    async kill(signal) {
      await lab.client.kill(pid, signal);
    },
    ended: (async () => {
      const [{ code }] = await Promise.all([
        child.status,
        readErrors,
        readOutput,
      ]);
      const join = (text: string[]) => text.map((l) => l + "\n").join("");
      return { code, stdout: join(output), stderr: join(errors) };
    })(),
  };
}

/** What both ends looked like. */
export class Before {
  private constructor(
    readonly lab: Lab,
    readonly client: string,
    readonly server: string,
  ) {}

  static async of(lab: Lab): Promise<Before> {
    const [client, server] = await Promise.all([
      lab.client.snapshot(),
      lab.server.snapshot(),
    ]);
    return new Before(lab, client, server);
  }

  /** Asserts that both ends look so again; the server may take a moment. */
  async assertSame(what: string): Promise<void> {
    const [client, server] = await Promise.all([
      this.lab.client.snapshot(),
      settled(this.lab.server, this.server),
    ]);
    assertEquals(changes(this.client, client), [], `client, ${what}`);
    assertEquals(changes(this.server, server), [], `server, ${what}`);
  }
}

/** Tries a command until it succeeds. */
export async function eventually(
  node: Node,
  argv: readonly string[],
  deadlineMs: number,
): Promise<number> {
  const start = performance.now();
  while (true) {
    const result = await node.run(argv);
    const spent = performance.now() - start;
    if (result.code === 0) return spent;
    if (spent > deadline(deadlineMs)) {
      throw new Error(
        `${node.name}: ${argv.join(" ")}: not within ${deadlineMs} ms: ` +
          result.stderr + result.stdout,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
