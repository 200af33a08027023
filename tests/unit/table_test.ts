import { assert, assertEquals } from "@std/assert";
import { align, colored, cut, PLAIN, wrap } from "../../lib/table.ts";
import { Seeded } from "./fuzz.ts";

Deno.test("align() pads all columns but the last, which it cuts", () => {
  const rows = [["A", "B", "C"], ["long", "", "a long text"]];
  assertEquals(align(rows), [["A   ", "B", "C"], ["long", " ", "a long text"]]);
  assertEquals(align(rows, 17), [
    ["A   ", "B", "C"],
    ["long", " ", "a long …"],
  ]);
  assertEquals(align([]), []);
});

Deno.test("align() shows a control character, and does not print it", () => {
  assertEquals(align([["a\x1b[2J", "b\nc\td"]]), [["a?[2J", "b c d"]]);
});

Deno.test("wrap() breaks at blanks, and cuts a word that is too long", () => {
  assertEquals(wrap("one two three", "  ", 9), ["  one two", "  three"]);
  assertEquals(wrap("one two", "", Infinity), ["one two"]);
  assertEquals(wrap("a\nb \x07", "", 80), ["a b ?"]);
  assertEquals(wrap("123456 x", "> ", 7), ["> 1234…", "> x"]);
});

Deno.test("wrap() and cut() keep to any width", () => {
  const seeded = new Seeded(31);
  for (let i = 0; i < 500; i++) {
    const text = seeded.text(["a", "bc", " ", "defghij", "\n"], 40);
    const columns = 3 + seeded.below(60);
    for (const line of wrap(text, "  ", columns)) {
      assert(line.length <= columns, `${columns}: ${line}`);
    }
    assert(cut(text, columns).length <= columns);
  }
});

Deno.test("colored() is plain where there are no colours", () => {
  assertEquals(colored("up", "green", PLAIN), "up");
  const style = { ...PLAIN, color: true };
  assertEquals(colored("up", "green", style), "\x1b[32mup\x1b[0m");
});
