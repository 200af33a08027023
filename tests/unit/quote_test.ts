import { assert, assertEquals } from "@std/assert";
import { pasteable, quote, quoteAll } from "../../lib/quote.ts";
import { Seeded } from "./fuzz.ts";
import { assertTable, system, which } from "./helpers.ts";

const PIECES = [
  ...["a", "Z", "0", " ", "  ", "\t", "\n", "'", '"', "\\", "$", "`", "*", "?"],
  ...[
    "[a]",
    "~",
    "#",
    "!",
    "&",
    "|",
    ";",
    "<",
    ">",
    "(",
    ")",
    "{a,b}",
    "=",
    "%",
  ],
  ...[
    "$(id)",
    "`id`",
    "${IFS}",
    "$'\\n'",
    "''",
    "\\\\",
    "\\'",
    "\\n",
    "-",
    "--",
  ],
  ...[
    "\u00e9",
    "\u202e",
    "\u{1f600}",
    "\x01",
    "\x7f",
    "\r",
    "^",
    ",",
    "@",
    "!!",
  ],
];

function nastyWords(seed: number, count: number): string[] {
  const seeded = new Seeded(seed);
  return [
    "",
    ...PIECES,
    ...Array.from({ length: count }, () => seeded.text(PIECES, 6)),
  ];
}

/** What a shell makes of words that {@linkcode quoteAll} has quoted. */
async function roundTrip(
  shell: readonly string[],
  words: readonly string[],
): Promise<void> {
  for (let at = 0; at < words.length; at += 500) {
    const some = words.slice(at, at + 500);
    const { stdout } = await system.query([
      ...shell,
      "-c",
      quoteAll(["printf", "%s\\0", ...some]),
    ]);
    assertEquals(stdout.split("\0").slice(0, -1), some, shell.join(" "));
  }
}

Deno.test("quote() round-trips through sh and bash", async () => {
  const words = nastyWords(8, 3000);
  await roundTrip(["sh"], words);
  await roundTrip(["bash"], words);
});

Deno.test("quote() round-trips through the other login shells that are here", async (t) => {
  const words = nastyWords(9, 1000);
  const shells = ["dash", "busybox sh", "zsh", "ksh93", "mksh", "fish"];
  for (const shell of shells) {
    const argv = shell.split(" ");
    const path = await which(argv[0]!);
    if (path !== undefined) {
      await t.step(shell, () => roundTrip([path, ...argv.slice(1)], words));
    }
  }
});

Deno.test("quote() leaves alone what reads well, and nothing else", () => {
  assertTable(quote, {
    "ssh": "ssh",
    "-oHostName=2001:db8::1": "-oHostName=2001:db8::1",
    "root@[::1]": "'root@[::1]'",
    "10.0.0.0/8": "10.0.0.0/8",
    "a,b+c%d": "a,b+c%d",
    "": "''",
    "a b": "'a b'",
    "~": "'~'",
    "a\n": "'a\n'",
    // In fish, a backslash in single quotes may quote what is behind it.
    "a\\b": "'a'\\\\'b'",
    "it's": "'it'\\''s'",
    "\u00e9": "'\u00e9'",
  });
});

Deno.test("quoteAll() keeps words apart", () => {
  assertEquals(quoteAll(["a", "", "b c"]), "a '' 'b c'");
});

Deno.test("pasteable() gives what it shows, in sh and bash", async () => {
  const script = "set -f\ncase $1 in\n  a) echo 'x' ;;\nesac\n\ttab \\ $(id)";
  const words = [
    ...["printf", "%s\\0", "one two", script, "", "it's"],
    `exec sh -c '${script.replaceAll("'", "'\\''")}' x`,
  ];
  for (const shell of ["sh", "bash"]) {
    const { stdout } = await system.query([shell, "-c", pasteable(words)]);
    assertEquals(stdout.split("\0").slice(0, -1), words.slice(2), shell);
  }
});

Deno.test("pasteable() shows a command's input as a here-document", async () => {
  const input = "rule delete priority 1\n$(id) `id` \\ 'x\n";
  const line = pasteable(["cat", "-"], input);
  assert(line.startsWith("cat - <<'END'\n"));
  assertEquals((await system.query(["sh", "-c", line])).stdout, input);
});
