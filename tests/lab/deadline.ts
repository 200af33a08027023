/** How long to wait for things, on machines of any speed. */

/**
 * A time limit that suits a usual machine, stretched by PVPN_TEST_SLOW for a
 * slow one: tests/lab/vm.sh sets it. Not for what must take its time, and not for
 * what a test measures.
 *
 * @param ms milliseconds
 */
export function deadline(ms: number): number {
  const factor = Number(Deno.env.get("PVPN_TEST_SLOW") || 1);
  if (!(factor >= 1)) throw new Error("PVPN_TEST_SLOW must be 1 or more");
  return ms * factor;
}
