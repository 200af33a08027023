/** Runs test files in the virtual machines of tests/lab/vm.sh. */
import { fromFileUrl } from "@std/path";

/** How a machine that ran a file ended. */
export interface VmRun {
  readonly file: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const VM = fromFileUrl(new URL("../tests/lab/vm.sh", import.meta.url));
/** The exit status of vm.sh when there is no machine. */
export const NO_MACHINE = 125;
/** Seconds for one file; vm.sh alone would give it less. */
const LIMIT = "3000";

/** Runs one file in a machine of its own; `show` gets all that it writes. */
async function runFile(
  file: string,
  args: readonly string[],
  show: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<VmRun> {
  const child = new Deno.Command(VM, {
    // The types have been checked on this machine, where that is faster.
    args: [Deno.execPath(), "test", "-A", "--no-check", ...args, file],
    env: { VM_TIMEOUT: Deno.env.get("VM_TIMEOUT") || LIMIT },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of stream) {
      show(chunk);
      text += decoder.decode(chunk, { stream: true });
    }
    return text;
  };
  const [stdout, stderr] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
  ]);
  const { code } = await child.status;
  return { file, stdout, stderr, code };
}

/** How {@linkcode runInVms} goes about it. */
export interface VmOptions {
  /** Until when one machine at a time is to do, and nothing is to be shown. */
  readonly busy?: Promise<unknown> | undefined;
  /** Gets what the files write, a file at a time. */
  readonly show: (chunk: Uint8Array<ArrayBuffer>) => void;
}

/**
 * Runs files, as many at a time as there are processors: a machine has one.
 */
export async function runInVms(
  files: readonly string[],
  args: readonly string[],
  { busy, show }: VmOptions,
): Promise<VmRun[]> {
  const runs: VmRun[] = [];
  const shown: Promise<void>[] = [];
  const waiting = [...files];
  const worker = async () => {
    for (let file; (file = waiting.shift()) !== undefined;) {
      const title = new TextEncoder().encode(
        `\nin a virtual machine: ${file}\n`,
      );
      // Live only if it is alone: the others' lines would be in between.
      const chunks = [title];
      const alone = files.length === 1 && busy === undefined;
      if (alone) show(title);
      const run = await runFile(
        file,
        args,
        alone ? show : (chunk) => chunks.push(chunk),
      );
      runs.push(run);
      if (alone) continue;
      const ready = busy ?? Promise.resolve();
      shown.push(ready.then(() => chunks.forEach(show)));
    }
  };
  const workers = Array.from(
    { length: navigator.hardwareConcurrency },
    async (_, index) => {
      if (index > 0 || navigator.hardwareConcurrency === 1) await busy;
      await worker();
    },
  );
  await Promise.all(workers);
  await Promise.all(shown);
  return runs;
}
