/**
 * `make test`: runs `deno test` over the files given as arguments (default:
 * `tests/`), and ends with why some failed, the names of these, and the line
 * `N passed, N failed, N skipped`. Fails if any test failed or none ran, and
 * with `CI=true` if any was skipped. `FILTER` in the environment is
 * `deno test --filter`.
 *
 * What needs of the kernel more than it has runs in a virtual machine, with
 * `--vm` before the files all does. Where there is none, each of these files
 * counts as one test that was skipped.
 */
import { type Plan, plan, testFiles } from "./test_plan.ts";
import { NO_MACHINE, runInVms } from "./test_vm.ts";

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

/** The tests that failed, and why, as `deno test` lists them at its end. */
function failures(output: string): Pick<Result, "names" | "errors"> {
  // deno-lint-ignore no-control-regex -- that is what colours are
  const plain = output.replaceAll(/\x1b\[[\d;]*m/g, "");
  const [before = "", list = ""] = plain.split("\n FAILURES \n\n");
  const [names = ""] = list.split("\n\nFAILED |");
  const why = before.split("\n ERRORS \n\n").at(-1) ?? "";
  return {
    names: names.split("\n").filter((line) => line !== ""),
    errors: [why.slice(0, 4096).trimEnd()],
  };
}

interface Result extends Counts {
  /** The failed ones: of hours of output, a record keeps but the end. */
  readonly names: readonly string[];
  /** The beginning of why, for each file or run of `deno test`. */
  readonly errors: readonly string[];
}

const NONE: Result = {
  passed: 0,
  failed: 0,
  skipped: 0,
  names: [],
  errors: [],
};

function sum(all: readonly Result[]): Result {
  return all.reduce((a, b) => ({
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
    names: [...a.names, ...b.names],
    errors: [...a.errors, ...b.errors],
  }), NONE);
}

function show(chunk: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < chunk.length;) {
    at += Deno.stdout.writeSync(chunk.subarray(at));
  }
}

function say(line: string): void {
  show(new TextEncoder().encode(`${line}\n`));
}

/** What a run counts for; one that failed otherwise than by a test is one. */
function judge(output: string, code: number, how: string): Result {
  const found = counts(output);
  if (found && (code === 0 || found.failed > 0)) {
    return { ...NONE, ...found.failed > 0 && failures(output), ...found };
  }
  say(`deno test ended with ${how}`);
  return { ...NONE, ...found, failed: 1, names: [how] };
}

/** Passes a stream on unchanged, and gives its text. */
async function tee(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    show(chunk);
    // What failed, and the closing line, is within the last of it.
    text = (text + decoder.decode(chunk, { stream: true })).slice(-16_384);
  }
  return text;
}

/** Runs Deno; its output is shown and given. */
async function deno(args: readonly string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = await tee(child.stdout);
  const { code, signal } = await child.status;
  return { output, code, how: signal ?? `exit status ${code}` };
}

async function testHere(
  files: readonly string[],
  args: readonly string[],
): Promise<Result> {
  if (files.length === 0) return NONE;
  const { output, code, how } = await deno(["test", "-A", ...args, ...files]);
  return judge(output, code, how);
}

async function testInVms(
  files: readonly string[],
  args: readonly string[],
  busy: Promise<unknown> | undefined,
): Promise<Result> {
  if (files.length === 0) return NONE;
  const { code } = await deno(["check", "--quiet", ...files]);
  if (code !== 0) return { ...NONE, failed: 1, names: ["deno check"] };
  const runs = await runInVms(files, args, { busy, show });
  return sum(runs.map(({ file, stdout, stderr, code }) => {
    if (code !== NO_MACHINE) {
      return judge(stdout, code, `exit status ${code}`);
    }
    say(`${file} is skipped: ${stderr.trimEnd().split("\n").at(-1)}`);
    return { ...NONE, skipped: 1 };
  }));
}

/** Runs the tests; the exit status. */
async function main(args: readonly string[]): Promise<number> {
  const onlyVms = args[0] === "--vm";
  const paths = args.slice(onlyVms ? 1 : 0);
  const files = await testFiles(paths.length ? paths : ["tests/"]);
  const { here, virtual }: Plan = onlyVms
    ? { here: [], virtual: files }
    : await plan(files, { twice: paths.length === 0 });
  const filter = Deno.env.get("FILTER");
  const options = filter ? [`--filter=${filter}`] : [];
  // Tests here mostly wait: there is a processor left for a machine beside them.
  const run = testHere(here, options);
  const { passed, failed, skipped, names, errors } = sum(
    await Promise.all([
      run,
      testInVms(virtual, options, here.length > 0 ? run : undefined),
    ]),
  );
  let ok = failed === 0;
  if (passed + failed === 0) {
    say("no test ran");
    ok = false;
  } else if (skipped > 0 && Deno.env.get("CI") === "true") {
    say("CI must skip none");
    ok = false;
  }
  for (const why of errors) say(`${why}\n`);
  for (const name of names) say(`failed: ${name}`);
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return ok ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
