import { assertEquals } from "@std/assert";
import {
  formatBytes,
  formatDuration,
  formatMilliseconds,
  formatTime,
} from "../../lib/units.ts";

function assertTexts(
  format: (value: number) => string,
  table: readonly (readonly [number, string])[],
): void {
  for (const [value, text] of table) assertEquals(format(value), text);
}

Deno.test("formatBytes() has two or three digits, and the unit that fits", () => {
  assertTexts(formatBytes, [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [9949, "9.9 kB"],
    [9950, "10 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [1_234_567_890, "1.2 GB"],
    [5e17, "500 PB"],
    [5e19, "50000 PB"],
  ]);
});

Deno.test("formatDuration() tells the two largest units, and no zero", () => {
  assertTexts(formatDuration, [
    [-5, "0 s"],
    [0.9, "0 s"],
    [59, "59 s"],
    [60, "1 min"],
    [125, "2 min 5 s"],
    [3600, "1 h"],
    [3605, "1 h"],
    [8040, "2 h 14 min"],
    [86_399, "23 h 59 min"],
    [273_600, "3 d 4 h"],
  ]);
});

Deno.test("formatMilliseconds() has two digits that count", () => {
  assertTexts(formatMilliseconds, [
    [0.063, "0.06 ms"],
    [1, "1.0 ms"],
    [8.34, "8.3 ms"],
    [140.6, "141 ms"],
  ]);
});

Deno.test("formatTime() is of this machine's clock", () => {
  const date = new Date(2026, 0, 2, 3, 4, 5);
  assertEquals(formatTime(date.toISOString()), "2026-01-02 03:04");
  assertEquals(formatTime("no time"), "no time");
});
