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

/**
 * Runs files, as many at a time as there are processors: a machine has one.
 * `show` gets what they write, a file at a time.
 */
export async function runInVms(
  files: readonly string[],
  args: readonly string[],
  show: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<VmRun[]> {
  const runs: VmRun[] = [];
  const waiting = [...files];
  const worker = async () => {
    for (let file; (file = waiting.shift()) !== undefined;) {
      const title = new TextEncoder().encode(
        `\nin a virtual machine: ${file}\n`,
      );
      // Live only if it is alone: the others' lines would be in between.
      const chunks = [title];
      const alone = files.length === 1;
      if (alone) show(title);
      const run = await runFile(
        file,
        args,
        alone ? show : (chunk) => chunks.push(chunk),
      );
      if (!alone) chunks.forEach(show);
      runs.push(run);
    }
  };
  await Promise.all(
    Array.from({ length: navigator.hardwareConcurrency }, worker),
  );
  return runs;
}
