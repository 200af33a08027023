import { assert, assertEquals } from "@std/assert";
import { linesOf } from "../../lib/streams.ts";
import { Seeded } from "./fuzz.ts";
import { within } from "./helpers.ts";

/** A stream that gives `bytes` in the given pieces. */
function inPieces(
  bytes: Uint8Array,
  cut: () => number,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length;) {
        const length = 1 + cut();
        controller.enqueue(bytes.slice(at, at + length));
        at += length;
      }
      controller.close();
    },
  });
}

const lines = (text: string | Uint8Array, cut = () => 1e9) =>
  Array.fromAsync(linesOf(inPieces(
    typeof text === "string" ? new TextEncoder().encode(text) : text,
    cut,
  )));

Deno.test("linesOf() gives the same lines however they arrive", async () => {
  const seeded = new Seeded(16);
  for (let i = 0; i < 300; i++) {
    const text = seeded.text(
      ["a", "\u00e9", "\u{1f600}", "\n", "\r\n", " "],
      40,
    );
    const whole = await lines(text);
    const expected = text.split(/\r?\n/);
    if (expected.at(-1) === "") expected.pop();
    assertEquals(whole, expected);
    assertEquals(await lines(text, () => seeded.below(3)), whole, text);
  }
});

Deno.test("linesOf() takes no character apart where much arrives at once", async () => {
  // Three bytes, and five: neither divides what is taken apart at a time.
  for (const word of ["\u00e9\n", "\u{1f600}\n"]) {
    const text = word.repeat(30_000);
    assertEquals(new Set(await lines(text)), new Set([word.trim()]));
    assertEquals((await lines(text)).length, 30_000);
  }
});

Deno.test("linesOf() cuts lines at 4 KiB, and goes on with the next", async () => {
  const long = "x".repeat(10_000);
  const cut = "x".repeat(4096);
  for (const size of [1e9, 4095, 100, 5000]) {
    assertEquals(await lines(`${long}\nb\n${long}`, () => size), [
      cut,
      "b",
      cut,
    ]);
  }
});

Deno.test("linesOf() does not keep what has no end", async () => {
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ < 500) controller.enqueue(new Uint8Array(65536).fill(120));
      else controller.close();
    },
  });
  const got = await within(5, Array.fromAsync(linesOf(stream)));
  assertEquals(got.map((line) => line.length), [4096]);
});

Deno.test("linesOf() survives what is no text", async () => {
  const bytes = new Uint8Array([
    0xff,
    0xc3,
    0x0a,
    0x00,
    0xf0,
    0x9f,
    0x0a,
    0x80,
  ]);
  const got = await lines(bytes, () => 0);
  assertEquals(got.length, 3);
  assert(got[0]?.startsWith("\ufffd"));
});
