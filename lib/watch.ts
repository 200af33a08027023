/**
 * Shows the list of tunnels, once or again and again.
 *
 * @module
 */
import type { Environment } from "./environment.ts";
import { list } from "./list.ts";
import { formatList } from "./status.ts";
import type { Style } from "./table.ts";

/** From one refresh to the next, in milliseconds. */
const REFRESH = 1000;

// Home, then the text, then what is left of the one before (ECMA-48 CUP, ED).
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_REST = "\x1b[J";

/** How the tunnels are listed. */
export interface ListRequest {
  /** In the form for programs: one object a line. */
  readonly json: boolean;
  /** Again every second, until the signal is aborted. */
  readonly watch: boolean;
}

/**
 * Prints the list of tunnels.
 *
 * @param print Prints; false where nobody reads any more.
 */
export async function showList(
  { json, watch }: ListRequest,
  { dir, runner, signal }: Pick<Environment, "dir" | "runner" | "signal">,
  style: Style,
  print: (text: string) => boolean,
): Promise<void> {
  const screen = watch && !json && style.terminal;
  let before: Awaited<ReturnType<typeof list>> | undefined;
  try {
    do {
      const listed = await list(dir, runner, before?.reading);
      const text = json
        ? JSON.stringify(listed.list) + "\n"
        : formatList(listed.list, style);
      const first = before === undefined;
      before = listed;
      const shown = screen
        ? HOME + text.replaceAll("\n", CLEAR_LINE + "\n") + CLEAR_REST
        : first || json
        ? text
        : "\n" + text;
      if (!print(shown)) return;
    } while (watch && await pause(signal));
  } catch (error) {
    // A ^C ends what is being run as well.
    if (!watch || !signal.aborted) throw error;
  }
}

/** Resolves after a while; to false as soon as the signal is aborted. */
function pause(signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const end = () => resolve(false);
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  const timer = setTimeout(() => resolve(true), REFRESH);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  });
}
