import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/errors.ts";
import { parseSshArgs, splitWords } from "../../lib/ssh_args.ts";
import { Seeded } from "./fuzz.ts";
import { assertTable, system, which } from "./helpers.ts";

/** How sh itself splits each of the texts, which hold no expansions. */
async function splitBySh(texts: readonly string[]): Promise<string[][]> {
  const show = `show() { printf '%s\\0' "$#" "$@"; }\n`;
  const input = show + texts.map((text) => `show ${text}\n`).join("");
  const { stdout } = await system.query(["sh"], { input });
  const words = stdout.split("\0");
  return texts.map(() => words.splice(0, 1 + Number(words[0])).slice(1));
}

/** Text as a user could type it, in which no shell would expand anything. */
function typed(seeded: Seeded): string {
  const plain = () => "a" + seeded.text("bc-=./:@,%+_^", 4);
  const parts = [
    plain,
    () => `'${seeded.text(["a", " ", '"', "\\", "$(x)", "`", "*", ";"], 4)}'`,
    () =>
      `"${
        seeded.text(
          ["a", " ", "'", "\\$", "\\`", '\\"', "\\\\", "\\a", "*", ";"],
          4,
        )
      }"`,
    () => "\\" + seeded.pick("ab $`\"'\\*;&|<>()~#{}?[!"),
  ];
  const word = () =>
    Array.from({ length: 1 + seeded.below(3) }, () => seeded.pick(parts)())
      .join("");
  const blank = () => seeded.pick([" ", "\t", "  ", " \t "]);
  let text = seeded.pick(["", blank()]);
  for (let i = seeded.below(4); i > 0; i--) text += word() + blank();
  return seeded.below(2)
    ? text.trimEnd() + (text.endsWith("\\ ") ? " " : "")
    : text;
}

Deno.test("splitWords() splits as sh does", async () => {
  const seeded = new Seeded(6);
  const texts = Array.from({ length: 4000 }, () => typed(seeded))
    // `trimEnd` may leave a backslash that would join it with the next line.
    .filter((text) => !/(?:^|[^\\])(?:\\\\)*\\$/.test(text));
  const bySh = await splitBySh(texts);
  assert(texts.length > 3500);
  for (const [i, text] of texts.entries()) {
    assertEquals(splitWords(text), bySh[i], JSON.stringify(text));
  }
});

Deno.test("splitWords() joins lines at a backslash, as sh does", async () => {
  const texts = [
    "a\\\nb",
    '"c\\\nd"',
    "'e\\\nf'",
    "-p\\\n 22",
    "-p \\\n22",
    "-p \\\n 22",
  ];
  const bySh = await splitBySh(texts);
  for (const [i, text] of texts.entries()) {
    assertEquals(splitWords(text), bySh[i], JSON.stringify(text));
  }
});

Deno.test("splitWords() splits at blanks, tabs and newlines, and at nothing else", () => {
  // A no-break space belongs to a file's name; sh keeps it, too.
  for (
    const odd of ["\u00a0", "\u2003", "\u3000", "\ufeff", "\v", "\f", "\r"]
  ) {
    assertEquals(splitWords(`a${odd}b`), [`a${odd}b`], JSON.stringify(odd));
  }
  assertEquals(splitWords(" a\tb\nc  "), ["a", "b", "c"]);
});

Deno.test("splitWords() evaluates nothing", () => {
  const text =
    "$(touch x) `id` $HOME ${IFS} * ? [a] ; && | > f < f & ~ {a,b} " +
    '#c "$(touch x)" "`id`" $((1+1)) !! <(id) $\'\\n\'';
  assertEquals(splitWords(text), [
    ...["$(touch", "x)", "`id`", "$HOME", "${IFS}", "*", "?", "[a]", ";", "&&"],
    ...["|", ">", "f", "<", "f", "&", "~", "{a,b}", "#c", "$(touch x)", "`id`"],
    ...["$((1+1))", "!!", "<(id)", "$\\n"],
  ]);
});

Deno.test("splitWords() says which quote is open", () => {
  for (const text of ["'", "a 'b", "''' "]) {
    assertMatch(assertThrows(() => splitWords(text), UsageError).message, /'/);
  }
  for (const text of ['"', 'a "b\\"', '"a\\']) {
    assertMatch(assertThrows(() => splitWords(text), UsageError).message, /"/);
  }
  for (const text of ["\\", "a\\", "'a'\\"]) {
    const { message } = assertThrows(() => splitWords(text), UsageError);
    assertMatch(message, /backslash/);
  }
});

Deno.test("splitWords() refuses a long quote that is not closed", () => {
  assertThrows(() => splitWords(`"${"\\a".repeat(2e5)}'`), UsageError);
});

Deno.test("parseSshArgs() takes options and their values", () => {
  assertTable<string[]>(parseSshArgs, {
    "": [],
    "   ": [],
    "-p 2222": ["-p", "2222"],
    "-p2222 -C": ["-p2222", "-C"],
    "-4Cp 22": ["-4Cp", "22"],
    "-i 'my key' -o ProxyCommand='nc %h %p'": [
      ...["-i", "my key", "-o", "ProxyCommand=nc %h %p"],
    ],
    // A value is a value, whatever it looks like, to ssh's getopt(3) too.
    "-l -w": ["-l", "-w"],
    "-l --": ["-l", "--"],
    "-Jhost -vvv": ["-Jhost", "-vvv"],
    "-lfGMNnOQsStVWw": ["-lfGMNnOQsStVWw"],
  });
});

Deno.test("parseSshArgs() refuses what would take the tunnel away, and says why", () => {
  for (const letter of "fGMNnOQsStVWw") {
    const forms = [
      `-${letter}`,
      `-C${letter}`,
      `-${letter}x`,
      `-C -4${letter}C`,
    ];
    for (const form of forms) {
      const error = assertThrows(() => parseSshArgs(form), UsageError);
      assertMatch(error.message, new RegExp(`-${letter} .*: .{10}`), form);
    }
  }
});

Deno.test("parseSshArgs() refuses hosts, commands and the end of options", () => {
  for (
    const text of ["host", "-C host", "--", "-C --", "-", "''", "-p 22 22"]
  ) {
    const { message } = assertThrows(() => parseSshArgs(text), UsageError);
    assertMatch(message, /is not an option of ssh/, text);
  }
});

Deno.test("parseSshArgs() refuses an option without its value", () => {
  for (const text of ["-o", "-C -p", "-4i", "-J", "-F"]) {
    const { message } = assertThrows(() => parseSshArgs(text), UsageError);
    assertMatch(message, new RegExp(`-${text.at(-1)} .*lacks its value`), text);
  }
});

Deno.test("parseSshArgs() refuses control characters, quoted ones too, and in values", () => {
  for (
    const text of ["'-oA=\nB'", "-o 'a\nb'", "-\x1b", "'-p\x7f'", "-p '\x00'"]
  ) {
    assertThrows(() => parseSshArgs(text), UsageError, "control", text);
  }
});

Deno.test("parseSshArgs() knows which of the installed ssh's options take a value", async () => {
  assert(await which("ssh") !== undefined);
  const { stderr } = await system.query(["ssh"], { anyStatus: true });
  const flags = /usage: ssh \[-(\w+)\]/.exec(stderr)?.[1] ?? "";
  const takers = [...stderr.matchAll(/\[-(\w) \w+/g)].map(([, letter]) =>
    letter!
  );
  assert(flags.length > 10 && takers.length > 10, stderr);
  const lacks = (letter: string) => {
    try {
      return void parseSshArgs(`-${letter}`);
    } catch (error) {
      assert(error instanceof UsageError);
      return error.message;
    }
  };
  for (const letter of flags) {
    assert(!lacks(letter)?.includes("lacks its value"), `-${letter} is a flag`);
  }
  for (const letter of takers) {
    assertMatch(lacks(letter) ?? "", /lacks its value|cannot be used/, letter);
  }
});
