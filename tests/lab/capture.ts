/** Packets on a device, as tcpdump tells them. */
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";

/** A running tcpdump. */
export interface Capture {
  /** Ends it; resolves to a line for each packet up to now, none is lost. */
  stop(): Promise<string[]>;
}

/** Reads a stream line by line into an array, and wakes who waits for a line. */
class Lines {
  readonly lines: string[] = [];
  readonly done: Promise<void>;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.done = this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts);
      this.#wake?.();
    }
    this.#ended = true;
    this.#wake?.();
  }

  /** Waits for a line that matches, from a position on; undefined at the end. */
  async find(pattern: RegExp, from = 0): Promise<string | undefined> {
    for (let i = from;; i++) {
      while (i >= this.lines.length) {
        if (this.#ended) return undefined;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      const line = this.lines[i] ?? "";
      if (pattern.test(line)) return line;
    }
  }
}

/** How often it says the same before that is believed to be all. */
const SAME = 5;

/**
 * Waits until tcpdump has printed all that the kernel has handed it by now:
 * with traffic that does not end, there is always more.
 */
async function drain(child: Deno.ChildProcess, errors: Lines): Promise<void> {
  let last = "";
  let goal = Infinity;
  for (let same = 0; same < SAME;) {
    // SIGUSR1 makes it tell: "3 packets captured, 4 packets received by
    // filter, 0 packets dropped by kernel".
    const from = errors.lines.length;
    child.kill("SIGUSR1");
    const line = await errors.find(/ received by filter/, from);
    if (line === undefined) return; // the device has gone, and tcpdump with it
    const [captured = 0, received = 0, dropped = 0] =
      line.match(/\d+(?= packets? )/g)?.map(Number) ?? [];
    if (dropped > 0) throw new Error(`${dropped} packets were not captured`);
    goal = Math.min(goal, received);
    if (captured >= goal) return;
    // What came before the filter was there is counted, but never captured.
    same = line === last ? same + 1 : 0;
    last = line;
    await new Promise((resolve) => setTimeout(resolve, deadline(20)));
  }
}

/**
 * Watches a device of a node; resolves when tcpdump really captures.
 *
 * @param filter what to look for, e.g. `["ip6", "and", "not", "icmp6"]`
 */
export async function capture(
  node: Node,
  device: string,
  filter: readonly string[] = [],
): Promise<Capture> {
  const child = node.spawn([
    ...["tcpdump", "-n", "-l", "-U", "-p", "--immediate-mode", "-Z", "root"],
    ...["-s", "512", "-B", "8192"], // room for thousands of packets at once
    ...["-i", device, ...filter],
  ]);
  const packets = new Lines(child.stdout);
  const errors = new Lines(child.stderr);
  if (!(await errors.find(/listening on /))) {
    await child.status;
    throw new Error(`${node.name}: ${errors.lines.join("; ")}`);
  }
  node.own(child);
  return {
    async stop() {
      await drain(child, errors).finally(() => child.kill("SIGINT"));
      await Promise.all([child.status, packets.done, errors.done]);
      return packets.lines.filter((line) => line !== "");
    },
  };
}
