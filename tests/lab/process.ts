/** Commands inside a node: what they get, and what becomes of their output. */
import { childOf } from "./holder.ts";

/** How {@linkcode Node.run} starts a command. */
export interface RunOptions {
  /** Text for its standard input, which is empty otherwise. */
  stdin?: string;
  /** Variables on top of the node's few. */
  env?: Record<string, string>;
  /** Its working folder inside the node, `/` otherwise. */
  cwd?: string;
  /** Milliseconds after which it is killed; 60 s unless told. */
  timeout?: number;
}

/** How {@linkcode Node.spawn} starts a command; output is piped unless told. */
export interface SpawnOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: "piped" | "null" | "inherit";
  stdout?: "piped" | "null" | "inherit";
  stderr?: "piped" | "null" | "inherit";
}

/** What became of a command. */
export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
  signal: Deno.Signal | null;
}

/** A process inside a node, by its pid there. */
export interface ProcessInfo {
  pid: number;
  ppid: number;
  comm: string;
  args: string;
  /** Seconds of a processor that it has had, as user and as system. */
  readonly cpu: number;
}

/** Gathers a stream as text; what came until then stays when it is cancelled. */
class Gathered {
  text = "";
  readonly done: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.pipeThrough(new TextDecoderStream()).getReader();
    this.done = this.#gather();
  }

  async #gather(): Promise<void> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) return;
      this.text += value;
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

/** Feeds a command that may not want to read it all. */
async function feed(child: Deno.ChildProcess, text: string): Promise<void> {
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text)).catch(() => {});
  await writer.close().catch(() => {});
}

/**
 * Waits for a command and for the end of its output, but not for ever: a
 * process that it left behind may still hold the pipes.
 */
export async function finish(
  child: Deno.ChildProcess,
  stdin: string | undefined,
  timeout: number,
): Promise<RunResult> {
  const out = new Gathered(child.stdout);
  const err = new Gathered(child.stderr);
  let ended = false;
  let late = "";
  const timer = setTimeout(() => {
    late = ended
      ? `lab: it has ended, but its output was still open after ${timeout} ms\n`
      : `lab: killed after ${timeout} ms\n`;
    if (!ended) child.kill("SIGKILL");
    out.cancel();
    err.cancel();
  }, timeout);
  const fed = stdin === undefined ? undefined : feed(child, stdin);
  const { code, signal } = await child.status;
  ended = true;
  await Promise.all([out.done, err.done, fed]);
  clearTimeout(timer);
  return { code, signal, stdout: out.text, stderr: err.text + late };
}

/** The process that nsenter runs, by its pid on the host; waits for the fork. */
function entered(nsenter: number): number | undefined {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 1000; i++) {
    const pid = childOf(nsenter);
    if (pid !== undefined) return pid;
    try {
      const stat = Deno.readTextFileSync(`/proc/${nsenter}/stat`);
      if (/\) [ZX]/.test(stat)) return undefined;
    } catch {
      return undefined;
    }
    Atomics.wait(pause, 0, 0, 1);
  }
  return undefined;
}

/** The pid inside the node of a process that nsenter runs. */
export function pidInside(child: Deno.ChildProcess): number | undefined {
  const pid = entered(child.pid);
  if (pid === undefined) return undefined;
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const pids = /^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
    return Number(pids.at(-1));
  } catch {
    return undefined;
  }
}

/**
 * Makes `kill` reach the command itself: nsenter only waits for it, and would
 * die alone. How the command ended is what nsenter then reports as its own end.
 */
export function signalThrough(child: Deno.ChildProcess): Deno.ChildProcess {
  child.kill = (signal: Deno.Signal = "SIGTERM") => {
    const pid = entered(child.pid);
    if (pid !== undefined) Deno.kill(pid, signal);
  };
  return child;
}

/** Reads the processes of a /proc; the pids are those of its namespace. */
export function readProcesses(proc: string): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const { name } of Deno.readDirSync(proc)) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`${proc}/${name}/stat`);
      const args = Deno.readTextFileSync(`${proc}/${name}/cmdline`);
      const end = stat.lastIndexOf(")");
      const fields = stat.slice(end + 2).split(" ");
      const [state, ppid] = fields;
      if (state === "Z" || state === "X") continue; // about to be reaped
      found.push({
        pid: Number(name),
        ppid: Number(ppid),
        comm: stat.slice(stat.indexOf("(") + 1, end),
        args: args.split("\0").join(" ").trimEnd(),
        cpu: (Number(fields[11]) + Number(fields[12])) / 100, // USER_HZ
      });
    } catch {
      // It ended while we looked.
    }
  }
  return found.sort((a, b) => a.pid - b.pid);
}
