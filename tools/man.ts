/**
 * Puts the option table into the OPTIONS section of `man/pvpn.8`: which
 * options there are, in which order, under which heading, with which values.
 * What stands below each is written by hand and stays; a new option gets the
 * words of `--help` to begin with. tests/unit/docs_test.ts fails while they
 * differ:
 *
 *     tools/with-deno deno run -R=. -W=man tools/man.ts
 */
import { type Option, OPTION_GROUPS, OPTIONS } from "../lib/options.ts";
import { writeAll } from "./derived.ts";

/** The page. */
export const PAGE = `${import.meta.dirname}/../man/pvpn.8`;

/** What stands below each option, by its long name. */
type Bodies = ReadonlyMap<string, string>;

/** In mdoc(7), the line that an option's text stands below. */
function item({ short, long, value, optional }: Option): string {
  // The halves of IP1:IP2 are arguments, the colon is none.
  const argument = value && ` Ar ${value.replace(":", " : Ns Ar ")}`;
  const shown = optional ? ` Oo${argument} Oc` : argument ?? "";
  const flags = short === undefined ? [] : [`Fl ${short}${shown}`];
  return `.It ${[...flags, `Fl \\-${long}${shown}`].join(" , ")}\n`;
}

function firstWords({ help }: Option): string {
  const text = help.replace(/^./, (first) => first.toUpperCase());
  return `${text.replace(/^[.']/gm, "\\&$&")}.\n`;
}

function readBodies(section: string): Bodies {
  const bodies = new Map<string, string>();
  const [, ...items] = section.split(/^(?=\.It (?:.* )?Fl \\-)/m);
  for (const text of items) {
    const [, line = "", rest = ""] = /^(.*)\n([^]*)$/.exec(text) ?? [];
    const long = /Fl \\-([\w-]+)/.exec(line)![1]!;
    if (!OPTIONS.some((o) => o.long === long && o.group !== undefined)) {
      throw new Error(`man/pvpn.8: OPTIONS: no such option: ${line}`);
    }
    // Behind the last of a group are the group's end, and the next's start.
    bodies.set(long, rest.replace(/\.El\n(?:\.Ss .*\n\.Bl .*\n)?$/, ""));
  }
  return bodies;
}

/**
 * The page as it should be.
 *
 * @throws {Error} Where it has an option that the table does not have.
 */
export function withOptions(page: string): string {
  const [before, rest = ""] = page.split(/(?<=^\.Sh OPTIONS\n)/m);
  const [section = "", ...after] = rest.split(/^(?=\.Sh )/m);
  const bodies = readBodies(section);
  const groups = Object.entries(OPTION_GROUPS).map(([group, title]) => {
    const items = OPTIONS.filter((option) => option.group === group)
      .map((option) =>
        item(option) + (bodies.get(option.long) || firstWords(option))
      );
    return `.Ss ${title}\n.Bl -tag -width Ds\n${items.join("")}.El\n`;
  });
  return [before, ...groups, ...after].join("");
}

if (import.meta.main) {
  await writeAll(new Map([[PAGE, withOptions(await Deno.readTextFile(PAGE))]]));
}
