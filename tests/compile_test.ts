/** Tests of compiling tunnel types in: what is refused, and what is left. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BuildError, compilePvpn } from "../tools/compile.ts";
import { compileArgs } from "../tools/compile_task.ts";
import { ROOT, withDir } from "./tools_tree.ts";

const PLUGIN = `import { INTERFACE_VERSION } from "@pvpn/pvpn";
export default {
  version: INTERFACE_VERSION, type: "mine", summary: "a", device: "tun",
  commands: ["ip"], checks: () => [], open: () => Promise.reject(),
};
`;

/** Why files of these texts are not compiled in. */
async function refusal(...texts: string[]): Promise<string> {
  let message = "";
  await withDir(async (dir) => {
    const files = texts.map((_, index) => `${dir}/plugin${index}.ts`);
    for (const [index, text] of texts.entries()) {
      await Deno.writeTextFile(files[index]!, text);
    }
    const output = `${dir}/pvpn`;
    const error = await assertRejects(
      () => compilePvpn(files, output),
      BuildError,
    );
    message = error.message.replaceAll(`${dir}/`, "");
    await assertRejects(() => Deno.lstat(output), Deno.errors.NotFound);
  });
  const left = [...Deno.readDirSync(ROOT)].map(({ name }) => name)
    .filter((name) => name === `.build-${Deno.pid}`);
  assertEquals(left, []);
  return message;
}

Deno.test("what is no plugin is not compiled in", async () => {
  assertMatch(
    await refusal("export const a = 1;"),
    /^plugin0\.ts: .*no default/,
  );
  assertMatch(
    await refusal(PLUGIN.replace("INTERFACE_VERSION,", "99,")),
    /^plugin0\.ts: it is written to version 99 of the interface/,
  );
  assertMatch(
    await refusal(PLUGIN.replace("open:", "opened:")),
    /^plugin0\.ts: it has no "open"$/,
  );
  assertMatch(await refusal("throw new Error('no');"), /^plugin0\.ts: no$/);
});

Deno.test("two types of one name are not compiled in", async () => {
  const taken = /tunnel type "(?:mine|ppp)": it is there already$/;
  assertMatch(await refusal(PLUGIN, PLUGIN), taken);
  assertMatch(await refusal(PLUGIN.replace("mine", "ppp")), taken);
});

Deno.test("a plugin whose types are wrong is not compiled in", async () => {
  const wrong = PLUGIN.replace("checks: () => []", "checks: () => [{}]");
  assertEquals(await refusal(wrong), "pvpn was not built");
});

Deno.test("what plugins run is added to what pvpn may run, and nothing else", async () => {
  const plain = await compileArgs({ output: "x" });
  const more = await compileArgs({ output: "x", commands: ["zz", "ip", "aa"] });
  const of = (args: string[]) =>
    args.find((arg) => arg.startsWith("--allow-run="))!.split(/[=,]/).slice(1);
  assertEquals(of(more), [...new Set([...of(plain), "aa", "zz"])].sort());
  const rest = (args: string[]) =>
    args.filter((arg) => !arg.startsWith("--allow-run="));
  assertEquals(rest(more), rest(plain));
  assert(of(plain).length > 0);
});
