/** The program as it is run; the ways through it that change nothing. */
import { assertEquals, assertMatch } from "@std/assert";
import { helpText } from "../../lib/help.ts";

import { VERSION } from "../../lib/version.ts";
import { plugins } from "../../plugins/mod.ts";

const CLI = new URL("../../cli.ts", import.meta.url).pathname;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program; by `by`, with the words of the command at its end. */
async function pvpn(
  args: readonly string[],
  options: { env?: Record<string, string>; by?: readonly string[] } = {},
): Promise<Outcome> {
  const argv = [
    ...(options.by ?? []),
    ...[Deno.execPath(), "run", "-A", "--quiet", "--no-check", CLI, ...args],
  ];
  const { code, stdout, stderr } = await new Deno.Command(argv[0]!, {
    args: argv.slice(1),
    env: { NO_COLOR: "1", SSH_ARGS: "", ...options.env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("pvpn prints what was asked for on stdout, and nothing on stderr", async () => {
  const [help, version] = await Promise.all([pvpn(["--help"]), pvpn(["-v"])]);
  assertEquals(help, { code: 0, stdout: helpText(plugins), stderr: "" });
  assertEquals(version, { code: 0, stdout: `pvpn ${VERSION}\n`, stderr: "" });
});

Deno.test("pvpn says what is wrong with a command line, and ends with 2", async () => {
  for (
    const [args, env, words] of [
      [[], {}, /SSH-HOST is missing/],
      [
        ["--tpye", "x"],
        {},
        /unknown option[^]*pvpn: hint: did you mean --type\?/,
      ],
      [["h"], { SSH_ARGS: "-N" }, /-N cannot be used/],
      [["-t", "no-such", "h"], {}, /unknown tunnel type "no-such"[^]*ssh-3/],
      [["a\x1b[2J"], {}, /is not a host/],
    ] as const
  ) {
    // As root, a type is only looked up when nothing else can be wrong.
    const { code, stdout, stderr } = await pvpn(args, { env });
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, words);
    for (const line of stderr.trimEnd().split("\n")) {
      // deno-lint-ignore no-control-regex
      assertMatch(line, /^pvpn: (?:error|hint): [^\x00-\x1f]+$/);
    }
  }
});

Deno.test("pvpn asks for root, and ends with 3", async () => {
  const code = `Object.defineProperty(Deno, "uid", { value: () => 65534 });
    const { main } = await import(${JSON.stringify(`file://${CLI}`)});
    for (const args of [["h"], ["-S"], ["-l"], ["--reconnect=tun0"]]) {
      if (await main(args) !== 3) Deno.exit(1);
    }
    Deno.exit(await main(["--help"]));`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", `--config=${config}`, code],
    env: { NO_COLOR: "1", SSH_ARGS: "" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assertEquals(success, true, text);
  assertEquals(text.match(/only root/g)?.length, 4);
  assertMatch(text, /hint: type: sudo pvpn -S\n/);
});

Deno.test("pvpn --help ends well when nobody reads it", async () => {
  const script = '{ "$@"; echo "$?" >&2; } | head -c 1';
  const { stderr } = await pvpn(["--help"], { by: ["sh", "-c", script, "sh"] });
  assertEquals(stderr, "0\n");
});
