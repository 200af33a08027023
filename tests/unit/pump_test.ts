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
    const { stderr } = await system.query(["perl", "-wce", PUMP, "tun%d"]);
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
    const { stderr } = await system.query([
      "perl",
      "-ce",
      BASE + PUMP,
      "tun%d",
    ]);
    assertEquals(stderr, "-e syntax OK\n");
    // What could be loaded later than that.
    assertFalse(/\b(?:require|do) /.test(PUMP));
  },
});

Deno.test({
  name: "a pump that perl cannot read leaves no ssh",
  ignore: perl === undefined,
  async fn() {
    const broken = `BEGIN { unshift @INC, sub {
      die "no Fcntl\\n" if $_[1] eq "Fcntl.pm"; return } }`;
    const ssh = ["perl", "-e"];
    ssh.push("$SIG{TERM} = sub { exit 255 }; sleep 30; warn qq(outlived)");
    const args = ["tun0", "10.9.9.1", "1", "new", String(ssh.length), ...ssh];
    const argv = ["perl", "-we", broken + PUMP, ...args];
    const { status, stderr } = await system.query(argv, { anyStatus: true });
    assert(status !== 0);
    assert(stderr.startsWith("no Fcntl\n"), stderr);
    assertFalse(stderr.includes("outlived"));
  },
});
