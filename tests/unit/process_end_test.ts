/** How processes are ended, and what is run beside that. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs";
import type { Runner } from "../../lib/command.ts";
import { ExitCode } from "../../lib/errors.ts";
import { endProcesses, stopOwner } from "../../lib/process.ts";
import {
  bounded,
  children,
  failureOf,
  runs,
  system,
  until,
  withDir,
  withProcess,
} from "./helpers.ts";

Deno.test("endProcesses() ends a process and its children, and waits for both", () =>
  withProcess("sleep 60 & sleep 60 & wait", async (id) => {
    await until(() => children(id.pid).length === 2);
    const pids = [id.pid, ...children(id.pid)];
    await endProcesses(system, [id]);
    assertEquals(pids.filter(runs), []);
  }));

Deno.test("endProcesses() leaves no child that was started meanwhile", async () => {
  const seconds = "98761.5";
  const busy = `while :; do sleep ${seconds} & kill $!; wait $!; done`;
  const script = `for n in 1 2 3 4 5 6; do (${busy}) & done; wait`;
  for (let i = 0; i < 20; i++) {
    await withProcess(script, async (id) => {
      await until(() => children(id.pid).length === 6);
      await endProcesses(system, [id]);
    });
    const argv = ["pgrep", "-f", "-x", `sleep ${seconds}`];
    const { stdout } = await system.query(argv, { anyStatus: true });
    for (const pid of stdout.split("\n").filter(Boolean)) {
      Deno.kill(Number(pid), "SIGKILL");
    }
    assertEquals(stdout, "", "left behind");
  }
});

Deno.test("endProcesses() never signals who has got the pid since", () =>
  withProcess("sleep 60 & wait", async (innocent) => {
    await until(() => children(innocent.pid).length === 1);
    const pids = [innocent.pid, ...children(innocent.pid)];
    const before = { ...innocent, start: String(Number(innocent.start) - 1) };
    await endProcesses(system, [before, { ...innocent, start: "" }]);
    await endProcesses(system, []);
    assertEquals(pids.filter(runs), pids);
    await endProcesses(system, [innocent]);
  }));

Deno.test("endProcesses() kills what does not end when it is asked to, or is stopped", () =>
  withDir((dir) =>
    withProcess("kill -STOP $$; sleep 60", (stopped) =>
      withProcess(
        `trap 'echo asked >${dir}/asked' TERM; while :; do sleep 0.1; done`,
        async (id) => {
          const stat = `/proc/${stopped.pid}/stat`;
          await until(() =>
            children(id.pid).length > 0 &&
            Deno.readTextFileSync(stat).includes(") T ")
          );
          const begin = Date.now();
          await endProcesses(bounded, [id, stopped]);
          assertEquals([runs(id.pid), runs(stopped.pid)], [false, false]);
          assert(Date.now() - begin >= 1500, "it was not given time");
          assertEquals(await Deno.readTextFile(`${dir}/asked`), "asked\n");
        },
      ))
  ));

/** A runner that changes things in another way. */
const running = (change: Runner["change"]) => ({ change }) as Runner;

Deno.test("endProcesses() runs a command beside that, and waits for both", () =>
  withDir(async (dir) => {
    await system.change(["mkfifo", `${dir}/go`]);
    // It ends when the command lets it, which has to wait for it then.
    const script =
      `trap 'read -r _ <${dir}/go; sleep 0.3; exit' TERM; echo >${dir}/up; ` +
      "while :; do sleep 0.1; done";
    await withProcess(script, async (id) => {
      await until(() => existsSync(`${dir}/up`));
      const argv = [
        "sh",
        "-c",
        `read -r word; echo "$word" >${dir}/go; exit 3`,
      ];
      const ended = await endProcesses(bounded, [id], argv, "gone\n");
      assertEquals([ended.all, ended.output.status], [true, 3]);
      assert(!runs(id.pid));
    });
    const argv = ["sh", "-c", `sleep 0.3; echo done >${dir}/done`];
    await endProcesses(system, [], argv);
    assert(existsSync(`${dir}/done`), "it was not waited for");
  }));

Deno.test("endProcesses() gives the command all of its input when nobody can do anything", () =>
  withDir(async (dir) => {
    await system.change(["mkfifo", `${dir}/go`]);
    // It ends when the command does, which therefore cannot wait for it.
    const script =
      `trap 'read -r _ <${dir}/go; echo >${dir}/asked; exit' TERM; sleep 60 & ` +
      `echo >${dir}/up; wait`;
    await withProcess(script, async (id) => {
      await until(() => existsSync(`${dir}/up`));
      const all = [id.pid, ...children(id.pid)];
      // It looks while most of what it is to read waits for it: see pipe(7).
      const look = `read -r word; cd "$1"; shift
        for pid; do read -r _ _ state _ </proc/$pid/stat; echo $state; done \
          >seen; [ -e asked ] || echo not asked >>seen
        echo "$word" "$(wc -c)" >>seen; echo >go`;
      const argv = ["sh", "-c", look, "look", dir, ...all.map(String)];
      const more = "x".repeat(100_000);
      const ended = await endProcesses(bounded, [id], argv, `word\n${more}`);
      assertEquals([ended.all, ended.output.status], [true, 0]);
      const seen = await Deno.readTextFile(`${dir}/seen`);
      assertEquals(seen, "T\nT\nnot asked\nword 100000\n");
      assert(existsSync(`${dir}/asked`), "it was killed");
    });
  }));

Deno.test("endProcesses() also ends them where the command is not there, or reads nothing", () =>
  withProcess("exec sleep 60", async (id) => {
    const input = "x".repeat(100_000);
    const ended = await endProcesses(bounded, [id], ["no-such-program"], input);
    assertEquals([ended.all, ended.output.status], [true, 127]);
    assert(!runs(id.pid));
    const { all, output } = await endProcesses(bounded, [id], ["true"], input);
    assertEquals(all, true);
    assert(output.status !== 0, "as if it had been told");
  }));

Deno.test("endProcesses() does not end by ^C what it runs beside", () =>
  withDir(async (dir) => {
    const argv = ["sh", "-c", `kill -INT $$; echo done >${dir}/done`];
    assertEquals((await endProcesses(system, [], argv)).output.status, 0);
    assert(existsSync(`${dir}/done`));
  }));

Deno.test("endProcesses() says so where the shell fails, and asks nobody twice", () =>
  withProcess("exec sleep 60", async (id) => {
    for (const status of [0, 1, 2, 126]) {
      const failing = running((_, options) =>
        system.change(["sh", "-c", `exit ${status}`], options)
      );
      const error = await failureOf(() => endProcesses(failing, [id], ["ip"]));
      assertEquals(error.name, "CommandError");
    }
    assert(runs(id.pid));
  }));

Deno.test("endProcesses() believes the last two lines alone", async () => {
  const ids = [{ pid: 4711, start: "1" }];
  const end = (stdout: string) =>
    endProcesses(
      running(() => Promise.resolve({ status: 0, stdout, stderr: "" })),
      ids,
      ["ip"],
    );
  const known = async (stdout: string) => {
    const { all, output } = await end(stdout);
    return [all, output.status];
  };
  assertEquals(await known("ended 0\n0\n"), [true, 0]);
  assertEquals(await known("ended 0\n0\nstays 0\n2\n"), [false, 2]);
  assertEquals(await known("ended 1\n0\n"), [true, 1]);
  const unknown = ["", "ended 0\n", "0\n", "ended 0\n0\n\n", "ended 0\n0"];
  for (const stdout of [...unknown, "not ended 0\n0\n", "ended\n0\n"]) {
    const error = await failureOf(() => end(stdout));
    assertEquals(error.name, "CommandError", stdout);
  }
});

/** A user who has no processes. */
const NOBODY = 54321;

/** One that may signal nobody. */
const powerless = running((argv, options) =>
  system.change(
    ["setpriv", `--reuid=${NOBODY}`, "--clear-groups", ...argv],
    options,
  )
);

Deno.test({
  name: "endProcesses() says that one stays which it may not end",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withProcess("exec sleep 60", async (id) => {
      const { all } = await endProcesses(powerless, [id]);
      assertEquals([all, runs(id.pid)], [false, true]);
    }),
});

Deno.test({
  name:
    "endProcesses() leaves nobody stopped where there is no room for a process",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withProcess(
      `exec setpriv --reuid=${NOBODY} --clear-groups sh -c 'sleep 60 & wait'`,
      async (id) => {
        await until(() => children(id.pid).length === 1);
        const all = [id.pid, ...children(id.pid)];
        // The shell itself, its part that ends them, and one of those that look.
        for (const more of [1, 2, 3]) {
          const limit = all.length + more;
          const cramped = running((argv, options) =>
            system.change([
              ...["setpriv", `--reuid=${NOBODY}`, "--clear-groups"],
              ...["prlimit", `--nproc=${limit}:${limit}`, ...argv],
            ], options)
          );
          await failureOf(() => endProcesses(cramped, [id]));
          await until(() =>
            all.every((pid) =>
              /\) S /.test(Deno.readTextFileSync(`/proc/${pid}/stat`))
            )
          );
        }
        const ended = await endProcesses(system, [id]);
        assertEquals([ended.all, ...all.map(runs)], [true, false, false]);
      },
    ),
});

Deno.test("endProcesses() lets go on whom it waits for to stop when it fails", () =>
  withDir((dir) =>
    withProcess("sleep 60 & wait", async (id) => {
      await until(() => children(id.pid).length === 1);
      const child = children(id.pid)[0]!;
      // The child does not stop at once, and there is no room for a sleep then.
      const fakes = `sleep() { exit 2; }; kill() { echo "$@" >>${dir}/said;
        [ "$2" != ${id.pid} ] || command kill "$@"; }`;
      const slow = running(([sh, c, script, ...words]) =>
        system.change([sh!, c!, `${fakes}\n${script}`, ...words])
      );
      const error = await failureOf(() => endProcesses(slow, [id]));
      assertEquals(error.name, "CommandError");
      assertEquals(
        (await Deno.readTextFile(`${dir}/said`)).split("\n"),
        ["STOP", "CONT"].flatMap((signal) => [
          `-${signal} ${id.pid}`,
          `-${signal} ${child}`,
        ]).concat(""),
      );
      await endProcesses(system, [id]);
    })
  ));

Deno.test("endProcesses() is content with who has ended already", () =>
  withProcess(":", async (id, child) => {
    await child.status;
    await endProcesses(system, [id, id]);
  }));

Deno.test("stopOwner() asks a pvpn alone, and waits for it", () =>
  withProcess("trap 'exit 0' TERM; sleep 60 & wait", async (id, child) => {
    await until(() => children(id.pid).length === 1);
    const below = children(id.pid);
    await stopOwner(system, id);
    await child.status;
    assertEquals(below.filter(runs), below, "ended, although it was not asked");
    for (const pid of below) Deno.kill(pid);
  }));

Deno.test({
  name: "stopOwner() says who does not end",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withProcess("exec sleep 60", async (id) => {
      const error = await failureOf(() => stopOwner(powerless, id));
      assertEquals(error.code, ExitCode.state);
      assertMatch(
        error.message,
        new RegExp(`^process ${id.pid}, .* does not end$`),
      );
      assert(runs(id.pid));
    }),
});
