import { assert, assertEquals } from "@std/assert";
import { printable, silentLog } from "../../lib/log.ts";

const LOG_URL = import.meta.resolve("../../lib/log.ts");
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

Deno.test("printable() shows what a terminal would obey as ?", () => {
  const obeyed = [
    ...["\x1b", "\x07", "\b", "\r", "\x00", "\x7f", "\x9b", "\x85", "\v", "\f"],
    ...["\u202e", "\u2066", "\u200b", "\u200f", "\u2028", "\u2029", "\ufeff"],
    ...["\u061c", "\u202a", "\u2069"],
  ];
  for (const character of obeyed) {
    assertEquals(
      printable(`a${character}[2Jb`),
      "a?[2Jb",
      JSON.stringify(character),
    );
  }
  assertEquals(printable("\x1b]0;title\x07"), "?]0;title?");
});

Deno.test("printable() leaves words alone, in any script", () => {
  for (
    const text of [
      "",
      "plain \u00e9\u00df \u4f60\u597d \u{1f600} %s $x\ttab",
      "a\nb",
    ]
  ) {
    assertEquals(printable(text), text);
  }
});

/** What a program writes that uses the log as `use` says. */
async function written(
  debug: boolean,
  use: string,
  more = "",
): Promise<{ stdout: string; stderr: string }> {
  const code = `import { stderrLog } from ${JSON.stringify(LOG_URL)};
    const log = stderrLog({ debug: ${debug}, ${more} });
    ${use}`;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", `--config=${CONFIG}`, code],
    env: { NO_COLOR: "1" },
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  assert(success, err);
  return { stdout: out!, stderr: err! };
}

const USE = `
  log.debug("+ ip route");
  log.info("up\\x1b[2J");
  log.warn("100% %s \${x}");
  log.error("one\\ntwo\\r");
  log.hint("");
`;
const SAID = "pvpn: up?[2J\npvpn: warning: 100% %s ${x}\n" +
  "pvpn: error: one\npvpn: error: two?\npvpn: hint: \n";

Deno.test("stderrLog() marks each line, and writes none of it to stdout", async () => {
  const [plain, verbose] = await Promise.all([
    written(false, USE),
    written(true, USE),
  ]);
  assertEquals(plain, { stdout: "", stderr: SAID });
  assertEquals(verbose, { stdout: "", stderr: "+ ip route\n" + SAID });
});

Deno.test("stderrLog() says only errors, and what helps, when it is quiet", async () => {
  const use = 'log.info("a"); log.warn("b"); log.hint("c"); ' +
    'log.step("d"); log.error("e"); log.hint("f");';
  const { stderr } = await written(false, use, "quiet: true, columns: 80");
  assertEquals(stderr, "pvpn: error: e\npvpn: hint: f\n");
});

Deno.test("stderrLog() rewrites one line with steps, and clears it for what is said", async () => {
  const use = 'log.step("one"); log.step("one"); log.step("two\\x1b"); ' +
    'log.info("said"); log.step(); log.step(); log.info("end");';
  const { stderr } = await written(false, use, "columns: 20");
  const clear = "\r\x1b[K";
  assertEquals(
    stderr,
    `pvpn: one ...${clear}pvpn: two? ...${clear}pvpn: said\npvpn: two? ...` +
      `${clear}pvpn: end\n`,
  );
  const long = 'log.step("x".repeat(50)); log.step();';
  const cut = await written(false, long, "columns: 20");
  assertEquals(cut.stderr, `pvpn: ${"x".repeat(13)}${clear}`);
  // Nothing of it where there is no terminal, or all else is shown.
  for (const more of ["", "debug: true, columns: 80"]) {
    assertEquals((await written(false, long, more)).stderr, "");
  }
});

Deno.test("stderrLog() does not mind that nobody reads any more", async () => {
  const code = `import { stderrLog } from ${JSON.stringify(LOG_URL)};
    const log = stderrLog({ debug: false });
    for (let i = 0; i < 100; i++) log.info("x".repeat(5000));
    console.log("went on");`;
  const script =
    '"$0" eval --quiet "--config=$1" "$2" 2>&1 >&3 3>&- | head -c 1';
  const { stdout } = await new Deno.Command("sh", {
    args: [
      "-c",
      `exec 3>&1; { ${script}; } >/dev/null`,
      Deno.execPath(),
      CONFIG,
      code,
    ],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "went on\n");
});

Deno.test("silentLog has all that a log has", () => {
  for (const say of Object.values(silentLog)) assertEquals(say("x"), undefined);
  assertEquals(Object.keys(silentLog).sort(), [
    ...["debug", "error", "hint", "info", "warn"],
  ]);
});
