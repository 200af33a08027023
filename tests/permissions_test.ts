/** Tests of what `./pvpn` is compiled to be allowed to do, and of that alone. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { COMMANDS, PLUGIN_COMMANDS } from "../lib/command.ts";
import { plugins } from "../plugins/mod.ts";
import { compileArgs, compileTask } from "../tools/compile_task.ts";
import { ROOT, run, withDir } from "./tools_tree.ts";

Deno.test("deno.json compiles pvpn with explicit lists of permissions", async () => {
  const task = await compileTask();
  for (const flag of ["--frozen", "--no-code-cache", "--no-prompt"]) {
    assert(task.includes(flag), `no ${flag}`);
  }
  // Each kind once, none whole, and neither the network nor native libraries.
  const allowed = task.filter((word) => /^--allow|^-[A-Z]/.test(word));
  for (const flag of allowed) {
    assert(/^--allow-(run|read|write|env|sys)=[^,]/.test(flag), flag);
  }
  const kinds = allowed.map((flag) => flag.split("=")[0]);
  assertEquals(new Set(kinds).size, kinds.length);
  assertFalse(task.some((word) => /^--unstable|^--deny|^-P/.test(word)));
});

Deno.test("deno.json lets pvpn run what core and plugins declare", async () => {
  const flag = (await compileTask())
    .find((word) => word.startsWith("--allow-run="));
  const declared = [
    COMMANDS,
    PLUGIN_COMMANDS,
    ...plugins.map((plugin) => plugin.commands),
  ];
  assertEquals(
    flag?.split("=")[1]?.split(",").sort(),
    [...new Set(declared.flat())].sort(),
  );
});

Deno.test("pvpn's flags refuse all that is not on their lists", () =>
  withDir(async (dir) => {
    const output = `${dir}/refused`;
    const entry = "tests/fixtures/refused.ts";
    const DENORT_BIN = Deno.env.get("DENORT_BIN");
    const compiled = await run(
      [Deno.execPath(), ...await compileArgs({ output, entry })],
      { cwd: ROOT, env: DENORT_BIN ? { DENORT_BIN } : {} },
    );
    assertEquals(compiled.code, 0, compiled.all);
    const { code, lines, all } = await run([output], {
      env: { PVPN_REFUSED: "read" },
    });
    assertEquals(code, 0, all);
    assert(lines.length >= 10, all);
    assertEquals(lines.filter((line) => !line.endsWith(": refused")), []);
  }));
