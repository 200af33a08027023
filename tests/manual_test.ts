/** The manual page, as the programs see it that render it. */
import { assertEquals, assertMatch } from "@std/assert";
import { lacks, run } from "./tools_tree.ts";

const PAGE = "man/pvpn.8";

async function manTest(
  program: string,
  name: string,
  fn: () => Promise<void>,
): Promise<void> {
  const missing = await lacks(program);
  Deno.test({
    name: missing ? `${name} (needs ${missing})` : name,
    ignore: missing !== "",
    fn,
  });
}

await manTest("mandoc", "mandoc -Tlint finds nothing in pvpn(8)", async () => {
  const { lines } = await run(["mandoc", "-Tlint", PAGE]);
  // This machine may lack what a reader's has.
  const others = /STYLE: referenced manual not found: |^$/;
  assertEquals(lines.filter((line) => !others.test(line)), []);
});

await manTest(
  "man",
  "man -l shows pvpn(8) in 80 columns, without a warning",
  async () => {
    const env = { MANWIDTH: "80", LC_ALL: "C.UTF-8", MANPAGER: "cat" };
    const { code, all, lines } = await run(["man", "-l", "--warnings", PAGE], {
      env,
    });
    assertEquals(code, 0, all);
    const quiet = `man -l --warnings ${PAGE} >/dev/null`;
    assertEquals((await run(["sh", "-c", quiet], { env })).all, "");
    assertMatch(all, /^PVPN\(8\) .* PVPN\(8\)\n/m);
    assertEquals(lines.filter((line) => line.length > 80), []);
  },
);
