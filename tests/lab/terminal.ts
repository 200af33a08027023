/** Commands at a terminal that somebody types at. */
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";

/** A terminal of a node's with one command in it; script(1) makes it. */
export class Terminal {
  #shown = "";
  #looking = () => {};
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #read: Promise<void>;

  /** `command` is the shell's, and the leader of the terminal's session. */
  constructor(node: Node, command: string) {
    this.#child = node.spawn(
      ["script", "-q", "-e", "-c", command, "/dev/null"],
      { stdin: "piped" },
    );
    this.#input = this.#child.stdin.getWriter();
    this.#read = this.#follow();
  }

  async #follow(): Promise<void> {
    const { stdout, stderr } = this.#child;
    const errors = new Response(stderr).text();
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
      this.#shown += text;
      this.#looking();
    }
    this.#shown += await errors;
    this.#looking();
  }

  /** What can be seen on it. */
  get shown(): string {
    return this.#shown;
  }

  /** Forgets what could be seen so far. */
  clear(): void {
    this.#shown = "";
  }

  /** Resolves when something can be seen. */
  async sees(pattern: RegExp, ms = 20_000): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#looking = () => {
      if (pattern.test(this.#shown)) resolve();
    };
    this.#looking();
    const late = () => reject(new Error(`no ${pattern} in: ${this.#shown}`));
    const timer = setTimeout(late, deadline(ms));
    await promise.finally(() => clearTimeout(timer));
  }

  /** Presses keys. */
  async press(keys: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(keys));
  }

  /** Types a line. */
  type(line: string): Promise<void> {
    return this.press(`${line}\n`);
  }

  /** Waits for the command's end, which closes the terminal. */
  async ended(): Promise<{ code: number; shown: string }> {
    const { code } = await this.#child.status;
    await this.#read;
    await this.#input.close().catch(() => {}); // it may be closed already
    return { code, shown: this.#shown };
  }
}
