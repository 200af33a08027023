import { assert, assertEquals, assertMatch } from "@std/assert";
import denoJson from "../../deno.json" with { type: "json" };
import {
  CommandError,
  DryRunner,
  ENVIRONMENT,
  SystemRunner,
} from "../../lib/command.ts";
import type { Log } from "../../lib/log.ts";
import { silentLog } from "../../lib/log.ts";
import { CALLER_VARIABLES } from "../../lib/user.ts";
import { failureOf, keepAwake, system, withDir, within } from "./helpers.ts";

/** A log that keeps what is shown with -d. */
function debugLog(): { log: Log; shown: string[] } {
  const shown: string[] = [];
  return {
    shown,
    log: { ...silentLog, debug: (text) => void shown.push(text) },
  };
}

/** Sets variables for a while. */
async function withEnv(
  values: Readonly<Record<string, string | undefined>>,
  use: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(values).map((key) =>
    [key, Deno.env.get(key)] as const
  );
  const set = (key: string, value: string | undefined) =>
    value === undefined ? Deno.env.delete(key) : Deno.env.set(key, value);
  for (const [key, value] of Object.entries(values)) set(key, value);
  try {
    await use();
  } finally {
    for (const [key, value] of before) set(key, value);
  }
}

Deno.test("SystemRunner passes on the environment that is listed, and no more", () =>
  withEnv({
    ...{
      LD_PRELOAD: "/x.so",
      SSH_ARGS: "-v",
      BASH_ENV: "/x",
      IFS: "x",
      ENV: "/x",
    },
    ...{
      PERL5OPT: "-x",
      SSH_AUTH_SOCK: "/agent",
      LANG: "C",
      DISPLAY: undefined,
    },
  }, async () => {
    const { stdout } = await system.query(["env", "-0"]);
    const got = stdout.split("\0").filter(Boolean).sort();
    const listed = ENVIRONMENT.filter((name) =>
      Deno.env.get(name) !== undefined
    );
    assertEquals(
      got,
      listed.map((name) => `${name}=${Deno.env.get(name)}`).sort(),
    );
    assert(got.includes("SSH_AUTH_SOCK=/agent"));
  }));

Deno.test("the compiled program may read what it passes on, and what it reads itself", () => {
  const [, names = ""] = /--allow-env=(\S+)/.exec(denoJson.tasks.compile) ?? [];
  const allowed = names.split(",");
  assertEquals(
    [
      ...[...ENVIRONMENT, ...CALLER_VARIABLES],
      ...["COLUMNS", "NOTIFY_SOCKET", "PVPN_PLUGINS", "SSH_ARGS"],
    ].sort(),
    allowed.sort(),
  );
});

Deno.test("query() gives status, output and complaints", async () => {
  const argv = [
    "sh",
    "-c",
    'printf "%s|" "$@"; cat; echo why >&2; exit 3',
    "x",
  ];
  const words = ["", "a b", "$(id)", "*", "'\"\\", "\n", "-x"];
  assertEquals(
    await system.query([...argv, ...words], { input: "in", anyStatus: true }),
    { status: 3, stdout: words.join("|") + "|in", stderr: "why\n" },
  );
  assertEquals((await system.query(["cat"])).stdout, "");
  const killed = await system.query(["sh", "-c", "kill -9 $$"], {
    anyStatus: true,
  });
  assertEquals(killed.status, 137);
});

Deno.test("query() fails with the last words of a command that failed", async () => {
  const argv = ["sh", "-c", "echo one >&2; echo 'two words' >&2; exit 4"];
  const error = await failureOf(() => system.query(argv));
  assert(error instanceof CommandError);
  assertEquals([error.code, error.output.status], [7, 4]);
  assertMatch(error.message, /^"sh" failed with status 4: two words$/);
  assertMatch(error.hints.join(), /sh -c 'echo one/);
});

Deno.test("query() says which package a missing program is in", () =>
  withDir((dir) =>
    withEnv({ PATH: dir }, async () => {
      const packages = {
        ip: "iproute2",
        ss: "iproute2",
        ssh: "openssh-client",
      };
      for (const [program, name] of Object.entries(packages)) {
        const error = await failureOf(() => system.query([program]));
        assertEquals(error.code, 4);
        assertMatch(error.message, new RegExp(`"${program}" is not installed`));
        assertMatch(error.hints.join(), new RegExp(`apt install ${name}`));
      }
      const other = await failureOf(() => system.query(["constructor"]));
      assertEquals(other.code, 4);
      assertMatch(other.hints.join(), new RegExp(`PATH is ${dir}`));
      assertEquals(
        (await failureOf(async () => {
          await Promise.resolve(system.start(["ssh"]));
        })).code,
        4,
      );
    })
  ));

Deno.test("query() does not mind a command that does not read its input", async () => {
  const failing = ["sh", "-c", "exec <&-; echo no >&2; exit 1"];
  for (let i = 0; i < 30; i++) {
    for (const input of ["", "one line\n", "x".repeat(300_000)]) {
      const { status, stderr } = await within(
        5,
        system.query(failing, { input, anyStatus: true }),
      );
      assertEquals([status, stderr], [1, "no\n"]);
    }
  }
});

Deno.test("query() takes no word for it of a command that has not read its input", async () => {
  const input = "x".repeat(300_000);
  const argv = ["sh", "-c", "exec <&-"];
  const output = await system.query(argv, { input, anyStatus: true });
  assertEquals(output.status, 141);
});

Deno.test("query() passes on a large input whole", async () => {
  const input = "line\n".repeat(100_000);
  const { stdout } = await system.query(["wc", "-c"], { input });
  assertEquals(Number(stdout), input.length);
});

Deno.test("query() shows what it runs as it could be pasted", async () => {
  const { log, shown } = debugLog();
  const runner = new SystemRunner(log);
  await runner.query(["cat", "-", "/dev/null"], { input: "a\n" });
  await runner.change(["printf", "%s", "a b"]);
  const untimed = shown.map((text) =>
    text.replace(/ {2}# \d+\.\d{3} s$/m, "  # TIME")
  );
  assertEquals(untimed, [
    "+ cat - /dev/null <<'END'  # TIME\na\nEND",
    "+ printf %s 'a b'  # TIME",
  ]);
  for (const text of shown) {
    const pasted = await system.query(["sh", "-c", text.slice(2)]);
    assertEquals(pasted.status, 0);
  }
});

Deno.test("start() speaks and listens line by line", async () => {
  using _ = keepAwake();
  const script =
    'echo $$; read -r l; echo "got $l"; echo "why $l" >&2; cat; echo end';
  const running = system.start(["sh", "-c", script]);
  await running.write("one\n");
  const lines = running.stdout[Symbol.asyncIterator]();
  const pid: string = (await within(5, lines.next())).value;
  assertEquals((await within(5, lines.next())).value, "got one");
  await running.release();
  assertEquals((await within(5, lines.next())).value, "end");
  assertEquals((await within(5, lines.next())).done, true);
  assertEquals(await Array.fromAsync(running.stderr), ["why one"]);
  // Its output ends a little before itself: its end, which only Deno is told
  // of, is not to fall into another test.
  const reaped = 'while kill -0 "$1" 2>/dev/null; do sleep 0.01; done';
  await within(5, system.query(["sh", "-c", reaped, "test", pid]));
});

Deno.test("DryRunner runs what changes nothing, and prints the rest", async () => {
  const printed: string[] = [];
  const runner = new DryRunner(silentLog, (line) => void printed.push(line));
  assertEquals((await runner.query(["echo", "seen"])).stdout, "seen\n");
  assertEquals(
    await runner.change(["pvpn-no-such", "a b"], { input: "in\n" }),
    { status: 0, stdout: "", stderr: "" },
  );
  const started = runner.start(["pvpn-no-such", "$(id)"]);
  await started.write("go\n");
  assertEquals(await Array.fromAsync(started.stdout), []);
  await started.release();
  assertEquals(printed, [
    ...["pvpn-no-such 'a b' <<'END'\nin\nEND", "pvpn-no-such '$(id)'"],
  ]);
  assert(runner.dry);
});
