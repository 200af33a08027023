import { assert, assertEquals } from "@std/assert";
import {
  blocksOf,
  literalsOf,
  mismatch,
  shape,
  stepsOf,
} from "../newcomer/session.ts";

Deno.test("stepsOf() tells commands from what they print", () => {
  assertEquals(stepsOf(["$ a b # c", "x", "y", "# d"]), [
    { prompt: "$", command: "a b # c", output: ["x", "y"] },
    { prompt: "#", command: "d", output: [] },
  ]);
  assertEquals(stepsOf(["sudo make demo", "$ a"]), []);
});

Deno.test("blocksOf() and literalsOf() find what is set in type", () => {
  assertEquals(
    blocksOf("a\n```\n$ b\nc\n```\nd `e`\n```ts\nf\n```\n```\ng\n```\n"),
    [
      ["$ b", "c"],
      ["g"],
    ],
  );
  const page =
    ".Sh A\nx\n.Dl # b \\-c\n.Sh D E\n.Bd -literal -offset indent\n" +
    "$ f\n\\&.g\n.Ed\ny\n";
  assertEquals(literalsOf(page), [
    { section: "A", lines: ["# b -c"] },
    { section: "D E", lines: ["$ f", ".g"] },
  ]);
});

Deno.test("shape() keeps what is the same each time", () => {
  const shown =
    "  up 2 h 14 min, since 2026-11-23 09:17, RTT 8.3 ms to 10.0.2.7";
  const later = " up 0 s, since 2027-01-02 00:00, RTT 140 ms to 192.168.1.1";
  assertEquals(shape(shown), shape(later));
  assertEquals(
    shape("received 1.2 GB, sent 9 B"),
    "received BYTES, sent BYTES",
  );
  assertEquals(shape("tun0 connected"), shape("tun12 connected"));
  for (
    const [one, other] of [
      ["tun0 connected", "ppp0 connected"],
      ["tun0 connected", "tun0 disconnected"],
      ["1.2 GB (3 MB/s)", "1.2 GB"],
      ["up 2 h", "since 2 h"],
    ] as const
  ) assert(shape(one) !== shape(other), one);
});

Deno.test("mismatch() lets ... stand for any lines, and no more", () => {
  const fits = (shown: string, actual: string) =>
    mismatch(shown.split("|"), actual.split("|")) === undefined;
  assert(fits("a 1|b", "a 22|b"));
  assert(fits("a|...|b", "a|x|y|b"));
  assert(fits("a|...", "a"));
  for (
    const [shown, actual] of ["a|b:a", "a:a|b", "a|...|b:a|x", "...|a:b"]
      .map((pair) => pair.split(":"))
  ) {
    assert(!fits(shown!, actual!), shown);
  }
});
