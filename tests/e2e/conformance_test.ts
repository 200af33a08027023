/** What all types do: ssh-3 and ssh-gso do it; and what does not is told. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { pvpnBinary } from "../lab/pvpn.ts";
import { testPlugin } from "../../testing.ts";

testPlugin("ssh-3");
testPlugin("ssh-gso");

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
/** What carries nothing fails the first of these, what leaves a device both. */
const FILTER = "/opens|refuses/";

/** The tests that a plugin passes. */
async function passed(plugin: string): Promise<string[]> {
  const dir = await Deno.makeTempDir({ prefix: "pvpn-conformance-" });
  try {
    await Deno.writeTextFile(`${dir}/trivial.js`, plugin);
    await Deno.writeTextFile(
      `${dir}/trivial_test.ts`,
      'import { testPlugin } from "@pvpn/pvpn/testing";\n' +
        'testPlugin(new URL("./trivial.js", import.meta.url));\n',
    );
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "-A", "--no-check", `--filter=${FILTER}`],
        `${dir}/trivial_test.ts`,
      ],
      cwd: ROOT,
      env: { NO_COLOR: "1", PVPN_BINARY: pvpnBinary() },
      stderr: "null",
    }).output();
    assertEquals(code, 1);
    const text = new TextDecoder().decode(stdout);
    assert(text.includes("trivial opens"), text);
    return [...text.matchAll(/^trivial (.*) \.\.\. ok /gm)].map((
      [, name = ""],
    ) => name);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test({
  name: "testPlugin() fails what carries nothing, and what leaves something",
  ignore: Deno.uid() !== 0,
  async fn() {
    const url = new URL("../fixtures/trivial.js", import.meta.url);
    const trivial = await Deno.readTextFile(url);
    const leaky = trivial.replace(/^ *undo: .*\n/m, "");
    assert(leaky !== trivial);
    assertEquals(await passed(trivial), [
      "leaves nothing when the server refuses its addresses",
    ]);
    assertEquals(await passed(leaky), []);
  },
});
