/** The completions are what tools/completions.ts makes of the option table. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { PROFILE_DIR } from "../../lib/profile.ts";
import { completions } from "../../tools/completions.ts";
import { rederive } from "../../tools/derived.ts";
import { STATE_DIR } from "../../lib/state_dir.ts";

Deno.test("completions have what the option table has", async () => {
  for (const [path, expected] of await completions()) {
    assertEquals(
      await Deno.readTextFile(path),
      expected,
      `${path}: run tools/completions.ts`,
    );
    for (const folder of [STATE_DIR, PROFILE_DIR]) {
      assert(expected.includes(`${folder}/*`), `${path}: ${folder}`);
    }
  }
});

Deno.test("rederive() changes what is between its markers, and no more", () => {
  const text = "a\n  # >>> made.ts x\n  old\n  # <<<\nb\n# >>> made_ts x\n";
  assertEquals(
    rederive(text, "made.ts", { x: ["new $1", "", "lines"] }),
    "a\n  # >>> made.ts x\n  new $1\n\n  lines\n  # <<<\nb\n# >>> made_ts x\n",
  );
  for (const maker of ["other.ts", "made"]) {
    assertThrows(() => rederive(text, maker, { x: [] }), Error, maker);
  }
  assertThrows(() => rederive(text + text, "made.ts", { x: [] }), Error, "one");
});
