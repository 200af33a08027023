/** Files that are written by hand but for what derives from the program. */

/**
 * Puts lines between the markers `# >>> MAKER NAME` and `# <<<` of a text,
 * indented as the first of them.
 *
 * @throws {Error} Where the text has not one such place.
 */
export function rederive(
  text: string,
  maker: string,
  blocks: Readonly<Record<string, readonly string[]>>,
): string {
  for (const [name, lines] of Object.entries(blocks)) {
    const start = `# >>> ${maker} ${name}`;
    const parts = text.split(
      new RegExp(`^( *)${start.replaceAll(".", "\\.")}\n[^]*?^ *# <<<\n`, "m"),
    );
    const [before, indent, after] = parts;
    if (parts.length !== 3) throw new Error(`there is not one "${start}"`);
    const made = [start, ...lines, "# <<<"].map((line) =>
      line ? `${indent}${line}\n` : "\n"
    );
    text = before + made.join("") + after;
  }
  return text;
}

/** Writes those files that differ from what they should be. */
export async function writeAll(
  files: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [path, text] of files) {
    if (text !== await Deno.readTextFile(path)) {
      await Deno.writeTextFile(path, text);
    }
  }
}
