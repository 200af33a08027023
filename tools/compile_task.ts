/**
 * The compile task of `deno.json`, for other outputs than `./pvpn`: a release
 * and a test program are built with the very flags that pvpn is. Needs no
 * package: `make release` has none at hand.
 */
const CONFIG = new URL("../deno.json", import.meta.url);
const OUTPUT = "--output";

/** The words of the compile task: `deno`, `compile`, flags, entry point. */
export async function compileTask(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(CONFIG));
  const task: string = tasks.compile;
  // Split at blanks, which is not how the task runner reads these.
  const special = task.match(/["'`$&|;<>*?\\]/);
  if (special) throw new Error(`deno.json: compile: has a ${special[0]}`);
  return task.trim().split(/\s+/);
}

/** What may differ from the compile task. */
export interface CompileOptions {
  /** The program that is made. */
  readonly output: string;
  /** The module that it runs. */
  readonly entry?: string;
  /** The machine that it is for. */
  readonly target?: string;
  /** What it may run beside. */
  readonly commands?: readonly string[];
}

/** The arguments of `deno` by which `entry` is compiled to `output`. */
export async function compileArgs(options: CompileOptions): Promise<string[]> {
  const [deno, compile, ...flags] = await compileTask();
  const entry = flags.pop();
  const at = flags.indexOf(OUTPUT);
  if (deno !== "deno" || compile !== "compile" || !entry || at < 0) {
    throw new Error(`deno.json: not deno compile ... ${OUTPUT} FILE ENTRY`);
  }
  flags.splice(at, 2, OUTPUT, options.output);
  if (options.target) flags.push("--target", options.target);
  const run = flags.findIndex((flag) => flag.startsWith("--allow-run="));
  const allowed = flags[run]!.split(/[=,]/).slice(1);
  const all = new Set([...allowed, ...options.commands ?? []]);
  flags[run] = `--allow-run=${[...all].sort()}`;
  return [compile, ...flags, options.entry ?? entry];
}
