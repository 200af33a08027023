import { assert, assertEquals, assertMatch } from "@std/assert";
import { errorsTable, TABLE } from "./errors_table.ts";

Deno.test("errors.txt has every error with its hints, as they are now", async () => {
  const table = await Deno.readTextFile(TABLE);
  assertEquals(
    table.split("\n"),
    (await errorsTable()).split("\n"),
    "read what has changed as a user would, then: " +
      "deno run -A tests/unit/errors_table.ts",
  );
});

// Words that are written so wherever they stand.
const NAMES = /^(?:SSH[-_]|PVPN_)/;

Deno.test("errors name the cause first: no capital, no full stop, no please", async () => {
  const lines = (await Deno.readTextFile(TABLE)).trim().split("\n");
  assert(lines.length > 100);
  for (const line of lines) {
    const [, plain, made] =
      /\((?:[\w.? :]+, )?(?:"([^"]*)"|`([^`]*)`)/.exec(line) ?? [];
    const text = plain ?? made;
    if (text === undefined) continue; // made of other texts
    if (!NAMES.test(text)) assertMatch(text, /^[a-z"$-]|^\/proc/, line);
    assert(!/[.!]$|please|sorry|oops|invalid|illegal/i.test(text), line);
  }
});

Deno.test("errors of the command line say what to type, or name what is wrong in it", async () => {
  const lines = (await Deno.readTextFile(TABLE)).trim().split("\n");
  const bare = lines.filter((line) =>
    /: UsageError\((?:"[^"]*"|`[^`]*`)\)$/.test(line)
  );
  for (const line of bare) assertMatch(line, /[`"]--|\$\{|-x/, line);
});
