/**
 * Versions of other programs, as they print them.
 *
 * @module
 */

/**
 * Whether a version is older than another.
 *
 * @param text Has the version as its first number with a point in it, such as
 * `OpenSSH_9.2p1` or `6.18.44-generic`.
 * @param than The other, such as `4.17`.
 * @returns `undefined` where there is none in it.
 */
export function isOlder(text: string, than: string): boolean | undefined {
  const [major, minor] = numbersOf(text);
  const [least = 0, smallest = 0] = numbersOf(than);
  if (major === undefined || minor === undefined) return undefined;
  return major < least || major === least && minor < smallest;
}

function numbersOf(text: string): number[] {
  return /(\d{1,6})\.(\d{1,6})/.exec(text)?.slice(1).map(Number) ?? [];
}
