/** pvpn as a library, in other programs. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import { suite } from "./helpers.ts";
import { eventually } from "./running.ts";

const path = (name: string) =>
  fromFileUrl(new URL(`../../${name}`, import.meta.url));
const test = suite({ jump: false }, async (lab) => {
  // Where the client can see it, wherever it is installed.
  await Deno.copyFile(Deno.execPath(), `${lab.dir}/deno-program`);
});

/** The arguments that run a program, with its cache outside of the client. */
function command(lab: Lab, program: string, ...args: string[]) {
  return {
    argv: [
      ...[`${lab.dir}/deno-program`, "run", "-A", "--no-check", "--quiet"],
      ...["--config", path("deno.json"), path(program), ...args],
    ],
    options: { env: { DENO_DIR: `${lab.dir}/deno` } },
  };
}

/** Runs the program of the tests; it must say nothing on stderr. */
async function run(lab: Lab, ...actions: string[]): Promise<string[]> {
  const program = "tests/fixtures/library_program.ts";
  const { argv, options } = command(lab, program, ...actions);
  const { code, stdout, stderr } = await lab.client.run(argv, options);
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  // It prints what it does, so that pvpn has printed nothing.
  assertEquals(lines.map((line) => line.split(":")[0]), actions);
  return lines.map((line) => line.replace(/^\w+: /, ""));
}

/** The program, held at each "line" until the test goes on. */
class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(readonly lab: Lab, ...actions: string[]) {
    const program = "tests/fixtures/library_program.ts";
    const { argv, options } = command(lab, program, ...actions);
    this.#child = lab.client.spawn(argv, { ...options, stdin: "piped" });
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** The next line that it prints; undefined where it has ended. */
  async line(): Promise<string | undefined> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#output.read();
      if (done) return undefined;
      this.#text += value;
    }
    const [first = "", ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return first;
  }

  async go(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("go\n"));
  }

  async kill(signal: Deno.Signal): Promise<void> {
    await this.lab.client.kill(this.lab.client.pidOf(this.#child), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    while (await this.line() !== undefined);
    await this.#child.stderr.cancel();
    await this.#child.status;
  }
}

test("examples/library.ts reaches a network while it runs", async (lab) => {
  const { argv, options } = command(
    ...[lab, "examples/library.ts"] as const,
    ...["root@server", "10.88.0.0/24", `${ADDRESS.inet}:5200`],
  );
  const { code, stdout, stderr } = await lab.client.run(argv, options);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "tun0 is up\n10.88.0.9 says ok\n");
  const bad = command(lab, "examples/library.ts", "root@nosuch.invalid");
  const failed = await lab.client.run(bad.argv, bad.options);
  assertEquals([failed.code, failed.stdout], [2, ""], failed.stderr);
});

test("a program connects, disconnects, and goes on", async (lab) => {
  const actions = ["connect", "list", "close", "connect", "disconnect", "list"];
  assertEquals(await run(lab, ...actions), [
    ...['"tun0"', '["tun0 up"]', "undefined", '"tun0"', '["tun0"]', "[]"],
  ]);
  assertEquals(await run(lab, "plugin", "close"), ['"trivial0"', "undefined"]);
});

test("a program sees what is wrong as typed errors", async (lab) => {
  const outcomes = await run(
    ...[lab, "refused", "wrong", "profile", "unknown", "none", "disconnect"],
  );
  const expected = [
    /^"UsageError 2: unknown tunnel type \\"nosuch\\""$/,
    /^"UsageError 2: SSH-HOST cannot start with \\"-\\"/,
    /^"UsageError 2: \\"@work\\" is a profile, not a host"$/,
    /^"PvpnError 5: /,
    /^"PvpnError 9: there is no tunnel \\"tun7\\""$/,
    /^\[\]$/,
  ];
  for (const [index, pattern] of expected.entries()) {
    assertMatch(outcomes[index]!, pattern);
  }
});

test("a program aborts what it has begun", async (lab) => {
  assertEquals(await run(lab, "abort", "aborted", "connect", "close"), [
    ...['"Error: enough"', '"before"', '"tun0"', "undefined"],
  ]);
});

test("a program's tunnel comes back, and ends with pvpn -S; the program does not", async (lab) => {
  await using program = new Program(lab, "connect", "closed", "line");
  assertEquals(await program.line(), 'connect: "tun0"');
  const reached = { from: ADDRESS.serverInside };
  assertEquals(await reach(lab.client, ADDRESS.inet), reached);
  await lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);
  await eventually(lab.client, [
    ...["grep", "-q", '"phase":"up".*"reconnects":1\\b'],
    "/run/pvpn/tun0.json",
  ], 10_000);
  assertEquals(await reach(lab.client, ADDRESS.inet), reached);
  const { code, stdout, stderr } = await pvpn(lab, ["-S"]);
  assertEquals([code, stdout, stderr], [0, "tun0 disconnected\n", ""]);
  assertEquals(await program.line(), "closed: undefined");
  await program.go();
  assertMatch(await program.line() ?? "", /^line: .*go/);
});

test("what a killed program leaves is closed, and pvpn -S opens it", async (lab) => {
  await using program = new Program(lab, "connect", "line");
  assertEquals(await program.line(), 'connect: "tun0"');
  await program.kill("SIGKILL");
  await eventually(lab.client, ["sh", "-c", "! pgrep -x ssh"], 10_000);
  const { error = "" } = await reach(lab.client, ADDRESS.inet);
  assert(error !== "", "it is reached");
  assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
});
