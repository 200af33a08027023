/** What GitHub runs: well formed, pinned, and made of what there is. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { lacks, ROOT, run, withDir } from "./tools_tree.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly "runs-on": string;
  readonly "timeout-minutes": string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const FOLDER = `${ROOT}.github/workflows`;
// A parser that lintian brings along.
const PARSE = "use YAML::XS; use JSON::PP;" +
  "print JSON::PP->new->canonical->encode(YAML::XS::LoadFile($ARGV[0]))";

const missing = await lacks("lintian", "shellcheck");

async function read(name: string): Promise<Workflow> {
  const { code, all } = await run(["perl", "-e", PARSE, `${FOLDER}/${name}`]);
  assertEquals(code, 0, all);
  return JSON.parse(all);
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: missing ? `${name} (needs ${missing})` : name,
    ignore: missing !== "",
    fn,
  });
}

/** The make targets that a script asks for. */
const targets = (script: string) =>
  [...script.matchAll(/\bmake ((?:[a-z-]+ ?)+)/g)]
    .flatMap(([, words = ""]) => words.trim().split(" "));

for (const name of ["ci.yml", "faults.yml", "release.yml"]) {
  test(`${name} runs what there is, with actions that cannot change`, async () => {
    const { jobs, permissions } = await read(name);
    assertEquals(permissions, { contents: "read" });
    const text = await Deno.readTextFile(`${FOLDER}/${name}`);
    for (const { steps, ...job } of Object.values(jobs)) {
      assertMatch(job["runs-on"], /^ubuntu-\d\d\.04$/);
      assert(Number(job["timeout-minutes"]) > 0);
      for (const { uses, run: script } of steps) {
        assert((uses === undefined) !== (script === undefined));
        if (uses !== undefined) {
          assertMatch(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
          // For people, the version; and one version everywhere.
          assertMatch(
            text,
            new RegExp(`uses: ${uses} # v\\d+\\.\\d+\\.\\d+\n`),
          );
          continue;
        }
        // What somebody named a branch must not become a script.
        assert(!script!.includes("${{"), script);
        await withDir(async (dir) => {
          // As GitHub runs it.
          await Deno.writeTextFile(`${dir}/run`, `set -e\n${script}`);
          const lint = await run(["shellcheck", "-s", "bash", `${dir}/run`]);
          assertEquals(lint.all, "");
        });
        for (const target of targets(script!)) {
          const { code, all } = await run(["make", "-n", target]);
          assertEquals(code, 0, all);
        }
        for (
          const [, file = ""] of script!.matchAll(
            /(?<![\w/])((?:tools|\.ci)\/\w+)/g,
          )
        ) {
          assert((await Deno.stat(ROOT + file)).mode! & 0o100, file);
        }
      }
    }
  });
}

test("a release is made of a tag, and needs no right before", async () => {
  const { on, jobs } = await read("release.yml");
  assertEquals(on, { push: { tags: ["v*"] } });
  assertEquals(Object.keys(jobs), ["release"]);
  assertEquals(jobs.release!.permissions, { contents: "write" });
  const steps = jobs.release!.steps.map((step) => step.run ?? "");
  assertMatch(steps.join("\n"), /make release dist\n[^]*sha256sum --check/);
  assertMatch(steps.at(-1)!, /^gh release create /);
});

test("tests run in pull requests, and as .ci/run has them", async () => {
  const { on, jobs } = await read("ci.yml");
  assertEquals(on, { push: { branches: ["main"] }, pull_request: null });
  const steps = Object.values(jobs).flatMap(({ steps }) => steps);
  assert(steps.some((step) => step.run === ".ci/run"));
});
