/**
 * Quoting for POSIX sh: for what `-d` and `-n` print, for ssh's remote
 * command, and for pppd's `pty` option. The one place that does it.
 *
 * @module
 */

/**
 * Quotes a word for POSIX sh (XCU 2.2.2). The one place that does.
 *
 * A word that needs none is left as it is, so that what `-d` prints reads
 * well. The result is safe for the login shells that sshd may run it with:
 * sh, bash, zsh, ksh, fish.
 *
 * @param word Anything without a NUL, which no argument can hold.
 */
export function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  // A backslash stands outside of the quotes, in which fish reads it.
  return `'${word.replace(/['\\]/g, "'\\$&'")}'`;
}

/** A command line that could be pasted into a shell. */
export function quoteAll(argv: readonly string[]): string {
  return argv.map(quote).join(" ");
}

/**
 * A command line that could be pasted and is meant to be read: a word of many
 * lines stands as a here-document, so that it is not quoted twice.
 *
 * @param comment What is said of it, as a shell's comment.
 */
export function pasteable(
  argv: readonly string[],
  input?: string,
  comment = "",
): string {
  const words = argv.map((word) =>
    word.includes("\n") ? `"$(cat <<'END'\n${word}\nEND\n)"` : quote(word)
  );
  const note = comment === "" ? "" : `  # ${comment}`;
  const line = words.join(" ");
  if (input === undefined) return line + note;
  return `${line} <<'END'${note}\n${input.replace(/\n$/, "")}\nEND`;
}
