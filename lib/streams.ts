/**
 * What goes through the pipes of programs: text, in lines that have an end.
 *
 * @module
 */

const LINE_LIMIT = 4096;

/** Lines of at most {@linkcode LINE_LIMIT} characters; longer ones are cut. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split(/\r?\n/);
    rest = (lines.pop() ?? "").slice(0, LINE_LIMIT);
    for (const line of lines) yield line.slice(0, LINE_LIMIT);
  }
  if (rest !== "") yield rest;
}

/** Nobody reads any more: EPIPE the first time, then a stream that failed. */
export function ignoreGone(error: unknown): void {
  const gone = error instanceof Deno.errors.BrokenPipe ||
    error instanceof TypeError && /clos(?:ed|ing) or/.test(error.message);
  if (!gone) throw error;
}

/** Whether all was written: a program may end without reading its input. */
export async function writeAll(
  stdin: WritableStream<Uint8Array>,
  text: string,
): Promise<boolean> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    return true;
  } catch (error) {
    ignoreGone(error);
    return false;
  }
}
