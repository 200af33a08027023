import { assert, assertEquals, assertMatch } from "@std/assert";
import { PvpnError } from "../../lib/errors.ts";
import { Journal } from "../../lib/journal.ts";
import { parseSshArgs } from "../../lib/ssh_args.ts";
import { StateDir } from "../../lib/state_dir.ts";
import { deleteLink, type UndoStep } from "../../lib/undo_step.ts";
import { batch, withRunner } from "./fake_runner.ts";
import { failureOf, onlyPvpnError, withDir } from "./helpers.ts";
import { NEW as STATE } from "./sample_state.ts";

const rule = (priority: number): UndoStep => ({
  ...{ kind: "ip", family: 4, object: "rule" },
  words: ["priority", `1000${priority}`],
});
const FORCE = ["ip", "-4", "-force"];

/** Lends a state folder that is made, and can be removed. */
const withState = (use: (dir: StateDir) => Promise<void>) =>
  withDir((path) => use(new StateDir(`${path}/state`)));

async function made(dir: StateDir): Promise<void> {
  await (await dir.lock()).release();
}

const mode = async (path: string) => (await Deno.lstat(path)).mode! & 0o7777;

Deno.test("StateDir.read() gives what a Journal wrote", () =>
  withState(async (dir) => {
    assertEquals(await dir.read("tun0"), undefined);
    await made(dir);
    assertEquals(await dir.read("tun0"), undefined);
    const journal = new Journal(dir, STATE);
    await journal.record(deleteLink("tun0"));
    await journal.update({ phase: "up", pair: "10.1.0.1:10.1.0.2" });
    const written = await dir.read("tun0");
    assertEquals(written, journal.state);
    assertEquals(written?.undo, [deleteLink("tun0")]);
    assertEquals(await mode(dir.file("tun0", "json")), 0o600);
    assertEquals([...Deno.readDirSync(dir.path)].length, 1);
    await journal.update({ pair: undefined });
    assertEquals(Object.hasOwn((await dir.read("tun0"))!, "pair"), false);
  }));

Deno.test("Journal writes nothing that StateDir.read() refuses, whatever a server said", () =>
  withState(async (dir) => {
    await made(dir);
    const problems = [
      ...[
        "\x1b[2J",
        "a\x00b",
        "a\rb",
        "\x7f",
        "a\nb\tc",
        "\u202e",
        "\ud800",
        '"\\',
      ],
      "x".repeat(5000),
    ];
    for (const problem of problems) {
      await new Journal(dir, STATE).update({ problem });
      const state = await dir.read("tun0");
      assert(state?.problem !== undefined, JSON.stringify(problem));
    }
  }));

Deno.test("Journal writes nothing that StateDir.read() refuses, whatever SSH_ARGS is", () =>
  withState(async (dir) => {
    await made(dir);
    const texts = [
      "-o 'A=\x1b'",
      "-p '\x7f'",
      `-oProxyCommand=${"x".repeat(5000)}`,
    ];
    for (const text of texts) {
      const sshArgs = onlyPvpnError(() => parseSshArgs(text), text);
      if (sshArgs === undefined) continue;
      await new Journal(dir, STATE).update({ sshArgs });
      assertEquals((await dir.read("tun0"))?.sshArgs, sshArgs);
    }
  }));

Deno.test("Journal without a folder writes nothing", async () => {
  const journal = new Journal(undefined, STATE);
  await journal.record(rule(1));
  assertEquals(journal.state.undo, [rule(1)]);
});

Deno.test("Journal.undo() takes back what is picked, and forgets it", () =>
  withState(async (dir) => {
    await made(dir);
    const journal = new Journal(dir, STATE);
    await journal.record(rule(1), rule(2), rule(3));
    const which = (step: UndoStep) => step !== journal.state.undo[1];
    await withRunner([
      batch(FORCE, [
        "rule delete priority 10003",
        "rule delete priority 10001",
      ]),
    ], (runner) => journal.undo(runner, which));
    assertEquals((await dir.read("tun0"))?.undo, [rule(2)]);
  }));

Deno.test("Journal.close() removes the file when all is undone", () =>
  withState(async (dir) => {
    await made(dir);
    const journal = new Journal(dir, STATE);
    await journal.record(rule(1));
    await withRunner(
      [batch(FORCE, ["rule delete priority 10001"])],
      (runner) => journal.close(runner),
    );
    assertEquals([...Deno.readDirSync(dir.path)], []);
  }));

Deno.test("Journal.close() keeps what could not be undone, and can be tried again", () =>
  withState(async (dir) => {
    await made(dir);
    const journal = new Journal(dir, STATE);
    await journal.record(rule(1), rule(2), rule(3));
    const lines = [3, 2, 1].map((n) => `rule delete priority 1000${n}`);
    const stderr =
      "RTNETLINK answers: Operation not permitted\nCommand failed -:2\n";
    const error = await withRunner([
      batch(FORCE, lines, { status: 1, stderr }),
    ], (runner) => failureOf(() => journal.close(runner)));
    assertEquals(error.code, 9);
    assertMatch(error.hints.join("\n"), /not permitted[^]*pvpn -S tun0/);
    const left = await dir.read("tun0");
    assertEquals(left?.undo, [rule(2)]);
    await withRunner(
      [batch(FORCE, [lines[1]!])],
      (runner) => dir.discard("tun0", left, runner),
    );
    assertEquals([...Deno.readDirSync(dir.path)], []);
  }));

Deno.test("StateDir.discard() removes a journal that was cut short", () =>
  withState(async (dir) => {
    await made(dir);
    await Deno.writeTextFile(dir.file("tun0", "json.new"), '{"half');
    await withRunner([], (runner) => dir.discard("tun0", undefined, runner));
    assertEquals([...Deno.readDirSync(dir.path)], []);
  }));

Deno.test("StateDir.read() says which file it cannot understand", () =>
  withState(async (dir) => {
    await made(dir);
    await Deno.writeTextFile(dir.file("tun0", "json"), "{");
    const error = await failureOf(() => dir.read("tun0"));
    assert(error instanceof PvpnError);
    assertMatch(error.message, /"tun0"/);
  }));
