/** docs/performance.md and its chart: what is written there, and how it is read. */

/** Rows of a Markdown table, by the names in its head. */
export type Row = Readonly<Record<string, string>>;

const begin = (name: string) => `<!-- bench: ${name} -->\n`;
const END = "<!-- end -->\n";

/** Where a part of a page is: what stands between its marks. */
function place(page: string, name: string): readonly [number, number] {
  const start = page.indexOf(begin(name));
  const end = page.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error(`the page has no part ${name}`);
  return [start + begin(name).length, end];
}

/** What a benchmark has put into a page. */
export function part(page: string, name: string): string {
  return page.slice(...place(page, name)).trim();
}

/** The page with another text in a part. */
export function withPart(page: string, name: string, text: string): string {
  const [start, end] = place(page, name);
  return `${page.slice(0, start)}\n${text.trim()}\n\n${page.slice(end)}`;
}

/** The tables of a Markdown text. */
export function tables(text: string): Row[][] {
  return [...text.matchAll(/(?:^\|.*\|\n?)+/gm)].map(([lines]) => {
    const [head = [], , ...rows] = lines.trim().split("\n").map((line) =>
      line.slice(1, -1).split("|").map((cell) => cell.trim())
    );
    return rows.map((cells) => {
      if (cells.length !== head.length) throw new Error(`a row of ${cells}`);
      return Object.fromEntries(head.map((name, i) => [name, cells[i]!]));
    });
  });
}

/** Of one way: what it carried up and down, and the round trips beside it. */
interface Bars {
  readonly name: string;
  readonly rates: readonly number[];
  readonly trips: readonly number[];
}

const STREAMS = ["1 up", "1 down"];

/** What the chart is of: one stream of each tunnel. */
function bars(page: string): Bars[] {
  const [rows = []] = tables(part(page, "throughput"));
  const names = new Set(rows.map(({ way = "" }) => way));
  names.delete("no tunnel"); // it would leave no room for the others
  return [...names].map((name) => {
    const of = (column: string) =>
      STREAMS.map((streams) => {
        const row = rows.find((row) =>
          row.way === name && row.streams === streams
        );
        const value = Number(row?.[column]);
        if (!(value >= 0)) throw new Error(`${name}, ${streams}: no ${column}`);
        return value;
      });
    return {
      name: name.replaceAll("`", ""),
      rates: of("Mbit/s"),
      trips: of("RTT beside, ms"),
    };
  });
}

const escaped = (text: string) =>
  text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// In pixels: of all, of the names, of the longest bar, and of one bar's height.
const [WIDTH, LEFT, LONGEST, HEIGHT] = [720, 150, 490, 16];

/** Bars below a title, from a height on; the lines, and where they end. */
function panel(
  title: string,
  all: readonly (readonly [string, readonly number[]])[],
  top: number,
): readonly [string[], number] {
  const most = Math.max(...all.flatMap(([, values]) => values));
  const lines = [`<text class="title" x="8" y="${top + 16}">${title}</text>`];
  let y = top + 28;
  for (const [name, values] of all) {
    const middle = y + (values.length * HEIGHT) / 2 + 4;
    lines.push(`<text x="8" y="${middle}">${escaped(name)}</text>`);
    for (const [i, value] of values.entries()) {
      const width = Math.max(1, Math.round(LONGEST * value / most));
      lines.push(
        `<rect class="bar${i}" x="${LEFT}" y="${y}" width="${width}" ` +
          `height="${HEIGHT - 2}"/>`,
        `<text x="${LEFT + width + 6}" y="${y + 11}">${value}</text>`,
      );
      y += HEIGHT;
    }
    y += 10;
  }
  return [lines, y];
}

/** An SVG of a page's throughput and round trips, for light and dark pages. */
export function chart(page: string): string {
  const all = bars(page);
  const [rates, middle] = panel(
    "One TCP stream, Mbit/s: longer is better",
    all.map(({ name, rates }) => [name, rates] as const),
    28,
  );
  const [trips, bottom] = panel(
    "A byte there and back beside it, ms: shorter is better",
    all.map(({ name, trips }) => [name, trips] as const),
    middle + 8,
  );
  return `\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom}" \
width="${WIDTH}" height="${bottom}" role="img">
<title>Throughput of one TCP stream, and round trips beside it</title>
<style>
text { font: 13px sans-serif; fill: #24292f }
.title { font-weight: bold }
.bar0 { fill: #0969da }
.bar1 { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar0 { fill: #58a6ff }
  .bar1 { fill: #f0883e }
}
</style>
<rect class="bar0" x="8" y="8" width="12" height="12"/>
<text x="26" y="19">up, to the far end</text>
<rect class="bar1" x="${LEFT}" y="8" width="12" height="12"/>
<text x="${LEFT + 18}" y="19">down, from there</text>
${[...rates, ...trips].join("\n")}
</svg>
`;
}
