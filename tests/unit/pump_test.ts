import { assert, assertEquals, assertFalse } from "@std/assert";
import { PUMP } from "../../plugins/pump.ts";
import { system, which } from "./helpers.ts";

Deno.test("the pump can stand in a quoted script, and has no comments", () => {
  assertFalse(PUMP.includes("'"));
  assertFalse(/[^\n\x20-\x7e]/.test(PUMP));
  assertFalse(/^\s*(?:#|$)/m.test(PUMP));
  // An argument may have 128 KiB (MAX_ARG_STRLEN); it is quoted once or twice.
  assert(PUMP.length < 16_384, `${PUMP.length} bytes`);
});

const perl = await which("perl");
Deno.test({
  name: "the pump compiles without a warning",
  ignore: perl === undefined,
  async fn() {
    const { stderr } = await system.query(["perl", "-wce", PUMP]);
    assertEquals(stderr, "-e syntax OK\n");
  },
});

// Where Debian's perl-base has its modules.
const BASE =
  "BEGIN { @INC = grep { m{/perl-base$} } @INC; exit 9 unless @INC }";
const { status } = await system.query(["perl", "-e", BASE], { anyStatus: true })
  .catch(() => ({ status: 127 }));
Deno.test({
  name: "the pump needs no module that is not in perl-base",
  ignore: status !== 0,
  async fn() {
    const { stderr } = await system.query(["perl", "-ce", BASE + PUMP]);
    assertEquals(stderr, "-e syntax OK\n");
    // What could be loaded later than that.
    assertFalse(/\b(?:require|do) /.test(PUMP));
  },
});
