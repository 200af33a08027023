/**
 * The compile task of `deno.json`, for other outputs than `./pvpn`: a release
 * and a test program are built with the very flags that pvpn is.
 */

const OUTPUT = "--output";

/** The words of the compile task: `deno`, `compile`, flags, entry point. */
export async function compileTask(): Promise<string[]> {
  const path = `${import.meta.dirname}/../deno.json`;
  const { tasks } = JSON.parse(await Deno.readTextFile(path));
  const task: string = tasks.compile;
  // Split at blanks, which is not how the task runner reads these.
  const special = task.match(/["'`$&|;<>*?\\]/);
  if (special) throw new Error(`deno.json: compile: has a ${special[0]}`);
  return task.trim().split(/\s+/);
}

/** The arguments of `deno` by which `entry` is compiled to `output`. */
export async function compileArgs(
  options: { output: string; entry?: string; target?: string },
): Promise<string[]> {
  const [deno, compile, ...flags] = await compileTask();
  const entry = flags.pop();
  const at = flags.indexOf(OUTPUT);
  if (deno !== "deno" || compile !== "compile" || !entry || at < 0) {
    throw new Error(`deno.json: not deno compile ... ${OUTPUT} FILE ENTRY`);
  }
  flags.splice(at, 2, OUTPUT, options.output);
  if (options.target) flags.push("--target", options.target);
  return [compile, ...flags, options.entry ?? entry];
}
