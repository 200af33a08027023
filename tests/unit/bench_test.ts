/** The figures of the benchmarks, and docs/performance.md that they are put into. */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Figures, quantile, shown } from "../bench/measure.ts";
import { chart, part, tables, withPart } from "../bench/report.ts";

const read = (path: string) =>
  Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

Deno.test("quantile() is the middle, or another part, of values in any order", () => {
  assertEquals(quantile([9, 1, 5]), 5);
  assertEquals(quantile([4, 3, 2, 10]), 3.5);
  assertEquals(quantile([7]), 7);
  const all = Array.from({ length: 101 }, (_, i) => 100 - i);
  assertEquals(quantile(all, 0.95), 95);
  assertEquals(quantile(all, 1), 100);
  assert(Number.isNaN(quantile([])));
});

Deno.test("a figure is the median, and its ratio one of the same round", () => {
  const figures = new Figures();
  // The machine is ten times slower in the last round.
  for (const [floor, value] of [[10, 20], [12, 24], [100, 200]] as const) {
    figures.add("floor", floor);
    figures.add("value", value);
  }
  assertEquals(figures.median("value"), "24");
  assertEquals(figures.ratio("value", "floor"), "2.00");
  assertEquals(figures.ratio("value", "value", 0), "1");
  assertEquals(figures.median("nothing"), "–");
  assertEquals(figures.ratio("value", "nothing"), "–");
  assertEquals(shown(1.25, 1), "1.3");
});

const HEAD = "| way | streams | Mbit/s | RTT beside, ms |\n|---|---|--:|--:|\n";
const lines = (name: string, rate: number) =>
  `| ${name} | 1 up | ${rate} | 2.5 |\n| ${name} | 1 down | ${rate} | 3 |\n`;
const page = (rows: string) =>
  `# P\n\n<!-- bench: throughput -->\n\nText:\n\n${HEAD}${rows}\n<!-- end -->\nbelow\n`;

Deno.test("a part of a page is replaced, and nothing else of it", () => {
  const before = page(lines("a", 1));
  const after = withPart(before, "throughput", "other\n");
  assertEquals(part(after, "throughput"), "other");
  assertEquals(
    after,
    "# P\n\n<!-- bench: throughput -->\n\nother\n\n<!-- end -->\nbelow\n",
  );
  assertThrows(() => withPart(before, "link", ""), Error, "no part link");
});

Deno.test("a table is read by the names in its head", () => {
  const text = `a\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n| 3 | |\n\nb\n`;
  assertEquals(tables(text), [[{ x: "1", y: "2" }, { x: "3", y: "" }]]);
  assertThrows(() => tables("| x | y |\n|---|---|\n| 1 |\n"), Error, "a row");
});

Deno.test("the chart has a bar for each figure of a tunnel, by its size", () => {
  const svg = chart(page(
    lines("no tunnel", 9999) + lines("`a` & <b>", 100) + lines("c", 400),
  ));
  const widths = [...svg.matchAll(/<rect .*x="150" .*width="(\d+)"/g)]
    .map(([, width]) => Number(width)).slice(1); // the first is the legend's
  assertEquals(widths.slice(0, 4), [123, 123, 490, 490]);
  assertEquals(widths.slice(4), [408, 490, 408, 490]);
  assertStringIncludes(svg, ">a &#38; &#60;b&#62;</text>");
  assert(!svg.includes("9999"), "the link beside all tunnels is in it");
  assertStringIncludes(svg, "prefers-color-scheme: dark");
  assertThrows(() => chart(page(lines("a", NaN))), Error, "no Mbit/s");
});

Deno.test("docs/performance.md has figures of every way, and their chart", async () => {
  const text = await read("docs/performance.md");
  assertStringIncludes(part(text, "machine"), "- kernel: Linux ");
  const ways = {
    connect: ["`ssh HOST true`"],
    counted: ["`ssh HOST true`", "pvpn `-t ppp`"],
    throughput: ["no tunnel"],
    resident: [],
    link: [
      ...["`ssh HOST true`", "no tunnel", "pvpn `-t ppp`"],
      "pvpn `-t ssh-gso --parallel 4`",
    ],
  };
  const [scale = []] = tables(part(text, "scale"));
  assertEquals(scale.map(({ tunnels }) => tunnels), ["1", "10", "30", "100"]);
  const tunnels = ["script, `ssh -w`", "sshuttle"];
  const own = ["pvpn `-t ssh-3`", "pvpn `-t ssh-gso`"];
  for (const [name, more] of Object.entries(ways)) {
    if (part(text, name).startsWith("Not measured")) continue;
    const [rows = []] = tables(part(text, name));
    assertEquals(
      new Set(rows.map(({ way }) => way)),
      new Set([...more, ...tunnels, ...own]),
      name,
    );
    for (const row of rows) {
      const values = Object.entries(row).filter(([key]) =>
        !["way", "streams", "end"].includes(key)
      );
      for (const [key, value] of values) {
        assert(/^(?:–|\d+(?:\.\d+)?)$/.test(value), `${row.way}, ${key}`);
      }
    }
  }
  assertEquals(await read("docs/performance.svg"), chart(text));
});
