/**
 * Compiles `./pvpn` with tunnel types from other files, and lets it run what
 * these declare.
 *
 *     tools/compile.ts [PLUGIN]...
 */
import { relative, resolve, toFileUrl } from "@std/path";
import { pluginFault } from "../lib/plugin_check.ts";
import { Registry } from "../lib/registry.ts";
import type { TunnelPlugin } from "../lib/tunnel.ts";
import { plugins } from "../plugins/mod.ts";
import { compileArgs } from "./compile_task.ts";

const ROOT = resolve(import.meta.dirname!, "..");

/** A plugin to compile in. */
interface Source {
  /** Its file, with an absolute path. */
  readonly path: string;
  /** What that exports. */
  readonly plugin: TunnelPlugin;
}

/** Why a program cannot be built, in words. */
export class BuildError extends Error {}

async function load(file: string): Promise<Source> {
  const path = resolve(file);
  let module: { default?: unknown };
  try {
    module = await import(toFileUrl(path).href);
  } catch (error) {
    throw new BuildError(
      `${file}: ${error instanceof Error ? error.message : error}`,
    );
  }
  const fault = pluginFault(module.default);
  if (fault !== undefined) throw new BuildError(`${file}: ${fault}`);
  return { path, plugin: module.default as TunnelPlugin };
}

/**
 * The module, in `dir`, that runs pvpn with more types. An absolute URL would
 * stay one in the compiled program, which would look for it on the disk.
 */
function entryText(sources: readonly Source[], dir: string): string {
  const from = (path: string) => {
    const parts = relative(dir, path).split("/").map(encodeURIComponent);
    return `from ${JSON.stringify(parts.join("/"))};`;
  };
  // To TypeScript, a version in JavaScript is any number. It has been checked.
  const names = sources.map(({ path }, index) =>
    `plugin${index}${path.endsWith(".js") ? " as unknown as TunnelPlugin" : ""}`
  );
  return [
    `import { main } ${from(`${ROOT}/cli.ts`)}`,
    `import type { TunnelPlugin } ${from(`${ROOT}/plugin.ts`)}`,
    ...sources.map(({ path }, index) => `import plugin${index} ${from(path)}`),
    `const plugins: readonly TunnelPlugin[] = [${names}];`,
    "Deno.exit(await main(Deno.args, plugins));",
    "",
  ].join("\n");
}

/**
 * Compiles pvpn with plugins.
 *
 * @param files Their files; a relative one is sought in the current folder.
 * @param output The program that is made.
 * @throws {BuildError} Where one is no plugin, or Deno has said what is wrong.
 */
export async function compilePvpn(
  files: readonly string[],
  output: string,
): Promise<void> {
  const sources = await Promise.all(files.map(load));
  try {
    new Registry([...plugins, ...sources.map(({ plugin }) => plugin)]);
  } catch (error) {
    if (error instanceof TypeError) throw new BuildError(error.message);
    throw error;
  }
  const commands = sources.flatMap(({ plugin }) => plugin.commands);
  // Its modules are found as the repository's are.
  const dir = `${ROOT}/.build-${Deno.pid}`;
  await Deno.mkdir(dir);
  try {
    const entry = `${dir}/pvpn.ts`;
    await Deno.writeTextFile(entry, entryText(sources, dir));
    const { success } = await new Deno.Command("deno", {
      args: await compileArgs({
        ...{ output: resolve(output), commands },
        ...(sources.length === 0 ? {} : { entry }),
      }),
      cwd: ROOT,
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    if (!success) throw new BuildError("pvpn was not built");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    await compilePvpn(Deno.args, "pvpn");
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    await Deno.stderr.write(
      new TextEncoder().encode(`compile: ${error.message}\n`),
    );
    Deno.exitCode = 1;
  }
}
