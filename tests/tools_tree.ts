/** What the tests of Makefile and tools/ share: commands, and copies of the tree. */
import { assertEquals } from "@std/assert";
import { dirname } from "@std/path";

/** The project's root, with a slash at its end. */
export const ROOT = new URL("..", import.meta.url).pathname;

/** A command's outcome; `all` is what it wrote to stdout and stderr. */
export interface Outcome {
  readonly code: number;
  readonly all: string;
  readonly lines: readonly string[];
}

/** Runs a command with no more of the environment than PATH and HOME. */
export async function run(
  command: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Outcome> {
  const [name = "", ...args] = command;
  const { PATH = "", HOME = "" } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(name, {
    args,
    cwd: options.cwd ?? ROOT,
    clearEnv: true,
    env: { PATH, HOME, NO_COLOR: "1", ...options.env },
    stdin: "null",
  }).output();
  const out = new TextDecoder().decode(stdout);
  return {
    code,
    all: out + new TextDecoder().decode(stderr),
    lines: out.trimEnd().split("\n"),
  };
}

/** Those of some commands that this machine does not have, by name. */
export async function lacks(...names: string[]): Promise<string> {
  const script = 'for x; do command -v "$x" >/dev/null || echo "$x"; done';
  const { lines } = await run(["sh", "-c", script, "sh", ...names]);
  return lines.join(" ");
}

/** Lends a temporary directory. */
export async function withDir(
  use: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pvpn-tools-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A copy of the Makefile and tools, with empty stand-ins for what they make. */
export async function copyTree(to: string): Promise<void> {
  for (const dir of ["lib", "plugins"]) await Deno.mkdir(`${to}/${dir}`);
  const completions = ["pvpn.bash", "_pvpn", "pvpn.fish"]
    .map((file) => `contrib/completions/${file}`);
  const units = ["pvpn@.service", "pvpn-recover.service"]
    .map((file) => `contrib/systemd/${file}`);
  const program = ["cli.ts", "pvpn", "man/pvpn.8"];
  for (const file of [...program, ...completions, ...units]) {
    await Deno.mkdir(dirname(`${to}/${file}`), { recursive: true });
    await Deno.writeTextFile(`${to}/${file}`, `stand-in for ${file}\n`);
  }
  const kept = ["Makefile", "config.mk", "deno.json", "deno.lock"]
    .map((file) => ROOT + file);
  const tools = [
    "with-deno",
    "deps",
    "dist",
    "test.ts",
    "test_plan.ts",
    "test_vm.ts",
  ]
    .concat("release.ts", "compile_task.ts")
    .map((file) => `${ROOT}tools/${file}`);
  const offline = ["setup.sh", "denort.ts", "vendor_std.ts", "types"]
    .concat("package.json", "package-lock.json")
    .map((file) => `${ROOT}tools/offline/${file}`);
  await Deno.mkdir(`${to}/tools/offline`, { recursive: true });
  for (
    const [files, dir] of [
      [kept, to],
      [tools, `${to}/tools`],
      [offline, `${to}/tools/offline`],
    ] as const
  ) {
    const { code, all } = await run(["cp", "-R", ...files, dir]);
    assertEquals(code, 0, all);
  }
}

/** A directory for PATH with these commands and no others, so no Deno. */
export async function onlyCommands(
  dir: string,
  ...names: string[]
): Promise<string> {
  await Deno.mkdir(dir);
  for (const name of names) {
    const { lines } = await run(["sh", "-c", 'command -v "$0"', name]);
    await Deno.symlink(lines[0] ?? "", `${dir}/${name}`);
  }
  return dir;
}

/** Writes a shell script. */
export async function script(path: string, text: string): Promise<void> {
  await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** What the shell scripts of tools/ are written with. */
export const SHELL = ["sh", "awk", "cat", "cut", "dirname", "getconf", "id"]
  .concat(
    ["mktemp", "readlink", "rm", "sed", "sha256sum", "sort", "uname"],
    ["timeout", "tail", "grep", "env", "make", "find", "flock", "tar"],
  );
