/**
 * `make test`: runs `deno test` over the files given as arguments (default:
 * `tests/`), and ends with the line `N passed, N failed, N skipped`. Fails if
 * any test failed or none ran, and with `CI=true` if any was skipped.
 * `FILTER` in the environment is `deno test --filter`.
 */

/** What `deno test` counted, or undefined if it did not come to its end. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Reads the closing line of `deno test`. The JUnit report would not do: it
 * has no word of a file that failed to load, and takes what the filter left
 * out for skipped.
 */
export function counts(output: string): Counts | undefined {
  const line = output
    // deno-lint-ignore no-control-regex -- that is what colours are
    .replaceAll(/\x1b\[[\d;]*m/g, "").trimEnd().split("\n").at(-1) ?? "";
  const n = (word: string) => {
    const match = line.match(
      new RegExp(`\\| (\\d+) ${word}(?: \\((\\d+) steps?\\))?(?= |$)`),
    );
    return { tests: Number(match?.[1] ?? 0), steps: Number(match?.[2] ?? 0) };
  };
  if (!/^(ok|FAILED) \| \d+ passed\b.* \| \d+ failed\b/.test(line)) return;
  const ignored = n("ignored");
  return {
    passed: n("passed").tests,
    failed: n("failed").tests,
    // A step that a passed test skipped is skipped all the same.
    skipped: ignored.tests + ignored.steps,
  };
}

/** Passes a stream on unchanged, and gives its text. */
async function tee(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length;) {
      at += await Deno.stdout.write(chunk.subarray(at));
    }
    // The closing line is within the last of it.
    text = (text + decoder.decode(chunk, { stream: true })).slice(-4096);
  }
  return text;
}

/** Runs the tests; the exit status. */
async function main(files: readonly string[]): Promise<number> {
  const say = (line: string) =>
    Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
  const filter = Deno.env.get("FILTER");
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      ...(filter ? [`--filter=${filter}`] : []),
      ...(files.length ? files : ["tests/"]),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = await tee(child.stdout);
  const { code, signal } = await child.status;
  const found = counts(output);
  let { passed, failed, skipped } = found ??
    { passed: 0, failed: 0, skipped: 0 };
  let ok = code === 0 && failed === 0;
  if (!ok && failed === 0) {
    say(`deno test ended with ${signal ?? `exit status ${code}`}`);
    failed = 1;
  } else if (passed + failed === 0) {
    say("no test ran");
    ok = false;
  } else if (skipped > 0 && Deno.env.get("CI") === "true") {
    say("CI must skip none");
    ok = false;
  }
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return ok ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
