/**
 * Every error that pvpn has a text for, as one table: read from the sources,
 * so that a new one is in it, and not before somebody has read it there.
 *
 * Usage: deno run -A tests/unit/errors_table.ts   writes tests/unit/errors.txt
 */
import { walk } from "@std/fs";
import { fromFileUrl, relative } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
/** Where the table is. */
export const TABLE = fromFileUrl(new URL("errors.txt", import.meta.url));

const START =
  /\bnew (PvpnError|UnfitError|UsageError|IpError|PairTakenError|WriteError)\(/g;

/** The arguments of a call, up to the parenthesis that closes it. */
function argumentsAt(text: string, start: number): string {
  let depth = 0;
  let quote = "";
  for (let at = start; at < text.length; at++) {
    const c = text[at]!;
    if (quote !== "") {
      if (c === "\\") at++;
      else if (c === quote) quote = "";
    } else if (`"'\``.includes(c)) quote = c;
    else if ("([{".includes(c)) depth++;
    else if (")]}".includes(c) && --depth < 0) return text.slice(start, at);
  }
  throw new Error("a call that does not end");
}

/** One line: joined strings are one, and what is only form is left out. */
function flat(code: string): string {
  return code.replace(/^ *\/\/.*$/gm, "").replace(/["`]\s*\+\s*["`]/g, "")
    .replace(/\s+/g, " ").replace(/,? $/, "").trim();
}

/** The table as the sources have it now. */
export async function errorsTable(): Promise<string> {
  const lines: string[] = [];
  for (const folder of [ROOT, `${ROOT}lib`, `${ROOT}plugins`]) {
    for await (const { path } of walk(folder, { exts: [".ts"], maxDepth: 1 })) {
      const text = await Deno.readTextFile(path);
      for (const { 0: call, 1: name, index } of text.matchAll(START)) {
        const code = flat(argumentsAt(text, index + call.length));
        lines.push(`${relative(ROOT, path)}: ${name}(${code})`);
      }
    }
  }
  return lines.sort().join("\n") + "\n";
}

if (import.meta.main) await Deno.writeTextFile(TABLE, await errorsTable());
