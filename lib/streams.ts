/**
 * What goes through the pipes of programs: text, in lines that have an end.
 *
 * @module
 */

const LINE_LIMIT = 4096;

/**
 * How many bytes are taken apart at a time. Of a server that floods, the 64 KiB
 * that a pipe gives at once make V8 keep 100 MB more of what nobody needs.
 */
const PIECE = 2 ** 14;

const inPieces = () =>
  new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        controller.enqueue(chunk.subarray(at, at + PIECE));
      }
    },
  });

/** Lines of at most {@linkcode LINE_LIMIT} characters; longer ones are cut. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  let rest = "";
  const texts = stream.pipeThrough(inPieces())
    .pipeThrough(new TextDecoderStream());
  for await (const text of texts) {
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
