/**
 * Writes the `denort` that `deno compile` needs (`DENORT_BIN`): an executable
 * made by `deno compile` is `denort` followed by the program, so its ELF part
 * alone is `denort`. Usage: `denort.ts EXECUTABLE OUTPUT SHA256`
 */

/** The part of `bytes` that is an ELF file proper: without what is appended. */
function elfPart(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  // Magic, then 64 bits, little-endian.
  if (
    bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 ||
    view.getUint16(4) !== 0x0201
  ) {
    throw new Error("not an ELF file of 64 bits");
  }
  // e_shoff + e_shentsize * e_shnum: the section headers come last.
  const end = Number(view.getBigUint64(40, true)) +
    view.getUint16(58, true) * view.getUint16(60, true);
  return new Uint8Array(bytes.slice(0, end));
}

const [executable, output, sha256] = Deno.args;
if (!executable || !output || !sha256) {
  throw new Error("usage: denort.ts EXECUTABLE OUTPUT SHA256");
}
const elf = elfPart(await Deno.readFile(executable));
const digest = await crypto.subtle.digest("SHA-256", elf);
const got = new Uint8Array(digest).toHex();
if (got !== sha256) throw new Error(`${executable}: denort is ${got}`);
// By renaming: whoever finds the file finds all of it.
await Deno.writeFile(`${output}.new`, elf, { mode: 0o755 });
await Deno.rename(`${output}.new`, output);
