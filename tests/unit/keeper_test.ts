import { assert, assertEquals, assertMatch } from "@std/assert";
import { Keeper } from "../../lib/keeper.ts";
import { endProcesses } from "../../lib/process.ts";
import { FakeRunner } from "./fake_runner.ts";
import {
  failureOf,
  identify,
  keepAwake,
  runs,
  system,
  until,
  withDir,
  within,
} from "./helpers.ts";

/** A keeper in a folder of its own, to which its command and `after` write. */
interface Kept {
  readonly keeper: Keeper;
  readonly dir: string;
  /** What a file in the folder says. */
  read(file: string): string;
}

/** Starts a keeper of a script, which finds the folder in `$0`; ends it, too. */
async function withKeeper(
  script: string,
  options: { background: boolean },
  use: (kept: Kept) => Promise<void>,
): Promise<void> {
  using _ = keepAwake();
  await withDir(async (dir) => {
    const after = `${dir}/pvpn`;
    const text = `#!/bin/sh\necho "$# $*" >${dir}/after.new\n` +
      `readlink /proc/self/fd/0 >>${dir}/after.new\n` +
      `[ ! -e /proc/$$/fd/3 ] || echo open >>${dir}/after.new\n` +
      `echo $$ >>${dir}/after.new\nmv ${dir}/after.new ${dir}/after\n`;
    await Deno.writeTextFile(after, text, { mode: 0o755 });
    const keeper = await Keeper.start(["sh", "-c", script, dir], {
      device: "tun7",
      ...(options.background ? { after } : {}),
    }, system);
    const read = (file: string) => {
      try {
        return Deno.readTextFileSync(`${dir}/${file}`);
      } catch {
        return "";
      }
    };
    try {
      await use({ keeper, dir, read });
    } finally {
      const pid = Number(read("pid"));
      await keeper.release().catch(() => {}); // it may have been released
      await endProcesses(system, [
        keeper.id,
        ...(pid > 0 && runs(pid) ? [identify(pid)] : []),
      ]);
      for await (const _ of keeper.stderr); // to its end
      await keeper.ended;
    }
  });
}

const BACK = { background: true };
const FORE = { background: false };
const READS =
  'echo $$ >"$0/pid"; while read -r l; do echo "$l" >>"$0/in"; done; ' +
  'echo eof >"$0/eof"; exit 7';

for (const options of [BACK, FORE]) {
  const where = options.background ? "background" : "foreground";
  Deno.test(`Keeper runs nothing before go() (${where})`, () =>
    withKeeper('echo run >"$0/ran"', options, async ({ keeper, read }) => {
      assertEquals(keeper.id, identify(keeper.id.pid));
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals(read("ran"), "");
      await keeper.go();
      assertEquals(await within(5, keeper.ended), 0);
      assertEquals(read("ran"), "run\n");
    }));

  Deno.test(`Keeper ends without a run when its pvpn dies before go() (${where})`, () =>
    withKeeper('echo run >"$0/ran"', options, async ({ keeper, read }) => {
      await keeper.release();
      await until(() => !runs(keeper.id.pid));
      assertEquals(await within(5, keeper.ended), -1);
      assertEquals(read("ran") + read("after"), "");
    }));

  Deno.test(`Keeper tells the exit status, and ends when that was heard (${where})`, () =>
    withKeeper("echo why >&2; exit 42", options, async ({ keeper, read }) => {
      await keeper.go();
      assertEquals(await within(5, keeper.ended), 42);
      assert(runs(keeper.id.pid), "it waits to be heard");
      await keeper.acknowledge();
      const said = [];
      for await (const line of keeper.stderr) said.push(line);
      assertEquals(said, ["why"]);
      await until(() => !runs(keeper.id.pid));
      assertEquals(read("after"), "");
    }));
}

Deno.test("Keeper tells of a signal that ended the command", () =>
  withKeeper("kill -KILL $$", FORE, async ({ keeper }) => {
    await keeper.go();
    assertEquals(await within(5, keeper.ended), 137);
    await keeper.acknowledge();
  }));

Deno.test("Keeper is not misled by what the command prints", () =>
  withKeeper(
    "echo exit 0; echo exit 1 >&2; exit 3",
    FORE,
    async ({ keeper }) => {
      await keeper.go();
      assertEquals(await within(5, keeper.ended), 3);
      await keeper.acknowledge();
    },
  ));

Deno.test("Keeper that was released becomes pvpn --reconnect DEVICE", () =>
  withKeeper("sleep 0.05", BACK, async ({ keeper, read }) => {
    await keeper.go();
    await keeper.release();
    await until(() => read("after") !== "");
    // Its input is empty, no descriptor is left, and it is the same process.
    assertEquals(
      read("after"),
      `2 --reconnect tun7\n/dev/null\n${keeper.id.pid}\n`,
    );
  }));

Deno.test("Keeper in the foreground reconnects nothing", () =>
  withKeeper("sleep 0.05", FORE, async ({ keeper, read }) => {
    await keeper.go();
    await keeper.release();
    await until(() => !runs(keeper.id.pid));
    assertEquals(read("after"), "");
  }));

Deno.test("Keeper holds the command's input open when pvpn has gone", () =>
  withKeeper(READS, BACK, async ({ keeper, read }) => {
    await keeper.go();
    await until(() => read("pid") !== "");
    await keeper.release();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assertEquals(read("eof"), "");
    assert(runs(keeper.id.pid));
    // A keeper that is killed, by whatever, takes the session along.
    Deno.kill(keeper.id.pid, "SIGKILL");
    await until(() => read("eof") === "eof\n");
    assertEquals(read("after"), "");
  }));

Deno.test("Keeper in the foreground ends the command's input with pvpn", () =>
  withKeeper(READS, FORE, async ({ keeper, read }) => {
    await keeper.go();
    await until(() => read("pid") !== "");
    await keeper.release();
    await until(() => read("eof") === "eof\n");
  }));

Deno.test("Keeper and its command ignore what a terminal sends", () =>
  withKeeper(READS, BACK, async ({ keeper, read }) => {
    await keeper.go();
    await until(() => read("pid") !== "");
    const command = Number(read("pid"));
    for (const signal of ["SIGINT", "SIGHUP", "SIGQUIT", "SIGPIPE"] as const) {
      for (const pid of [keeper.id.pid, command]) Deno.kill(pid, signal);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert(runs(keeper.id.pid) && runs(command));
  }));

Deno.test("Keeper ends, without reconnecting, when it is told to", () =>
  withKeeper("exec sleep 60", BACK, async ({ keeper, read }) => {
    await keeper.go();
    await keeper.release();
    await endProcesses(system, [keeper.id]);
    assert(!runs(keeper.id.pid));
    assertEquals(read("after"), "");
  }));

Deno.test("Keeper can be answered, and let go of, when it was killed", () =>
  withKeeper("exit 3", FORE, async ({ keeper }) => {
    await keeper.go();
    assertEquals(await within(5, keeper.ended), 3);
    Deno.kill(keeper.id.pid, "SIGKILL");
    await until(() => !runs(keeper.id.pid));
    await keeper.acknowledge();
    await keeper.release();
  }));

Deno.test("Keeper that is killed has ended, although nobody said a status", () =>
  withKeeper("read -r l", FORE, async ({ keeper }) => {
    await keeper.go();
    Deno.kill(keeper.id.pid, "SIGKILL");
    assertEquals(await within(5, keeper.ended), -1);
  }));

Deno.test("Keeper can be let go of twice", () =>
  withKeeper("exec sleep 60", FORE, async ({ keeper }) => {
    await keeper.release();
    await keeper.release();
  }));

Deno.test("Keeper takes its words as words", () =>
  withKeeper(
    'printf "%s" "$0" >"$0/arg0"',
    FORE,
    async ({ keeper, dir, read }) => {
      await keeper.go();
      await keeper.ended;
      assertEquals(read("arg0"), dir);
      await keeper.acknowledge();
    },
  ));

Deno.test("Keeper.start() says so when there is no keeper", async () => {
  for (const line of [undefined, "", "sh: cannot fork", "4711 (sh) S"]) {
    const runner = new FakeRunner([], (process) => {
      if (line !== undefined) process.stdout.push(line);
      process.stdout.end();
    });
    const error = await failureOf(() =>
      Keeper.start(["true"], { device: "tun0" }, runner)
    );
    assertMatch(error.message, /keeper did not start/);
  }
});
