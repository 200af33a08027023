/**
 * What somebody may have meant who mistyped a word.
 *
 * @module
 */

/** Edits that a typing mistake takes: two letters that have changed places. */
const MISTAKES = 2;

/**
 * The nearest of some words: one that begins with what was typed, or else
 * takes the fewest edits.
 *
 * @returns `undefined` where none is near.
 */
export function nearest(
  typed: string,
  words: readonly string[],
): string | undefined {
  const word = typed.toLowerCase();
  const begun = words.filter((w) => word.length > 1 && w.startsWith(word));
  if (begun.length === 1) return begun[0];
  const most = word.length > MISTAKES ? MISTAKES : 0;
  const [first] = words.map((w) => ({ word: w, edits: distance(word, w) }))
    .filter(({ edits }) => edits <= most)
    .sort((a, b) => a.edits - b.edits);
  return first?.word;
}

/** The number of edits between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    row = next;
  }
  return row[b.length]!;
}
