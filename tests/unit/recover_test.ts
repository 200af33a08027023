import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { claim, recover } from "../../lib/claim.ts";
import type { Runner } from "../../lib/command.ts";
import type { Environment } from "../../lib/environment.ts";
import { Journal } from "../../lib/journal.ts";
import { reconnect } from "../../lib/reconnect.ts";
import { silentLog } from "../../lib/log.ts";
import type { StateDir } from "../../lib/state_dir.ts";
import type { IpStep, UndoStep } from "../../lib/undo_step.ts";
import { claimed, FREE, PAIRS, PREFIX, TUNNEL, withState } from "./claimed.ts";
import { batch, endOf, FakeRunner, query, withRunner } from "./fake_runner.ts";
import { failureOf, identify, system, withProcess } from "./helpers.ts";

const RULE: IpStep = {
  ...{ kind: "ip", family: 4, object: "rule", words: ["priority", "10000"] },
};
const UNDONE = batch(["ip", "-4", "-force"], ["rule delete priority 10000"]);
const files = (dir: StateDir) =>
  [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();

Deno.test("recover() does nothing where there is nothing", () =>
  withState(async (dir) => {
    await withRunner([], (runner) => recover(dir, runner, silentLog));
    assertEquals(await dir.check(), false);
  }));

Deno.test("recover() undoes what died while it was connecting, and nothing else", () =>
  withState(async (dir) => {
    // Dead are all; but only the first was never up, and may be opened.
    const owner = { ...identify(Deno.pid), start: "1" };
    const gone = { kind: "process", ...owner } as const;
    await claimed(dir, { phase: "connecting", undo: [RULE] });
    await claimed(dir, { phase: "reconnecting", owner, undo: [RULE] });
    await claimed(dir, { phase: "up", owner, undo: [RULE] });
    await claimed(dir, { phase: "up", undo: [RULE] });
    const closed = (await dir.devices()).slice(1);
    const warned: string[] = [];
    const warn = (text: string) => void warned.push(text);
    await withRunner(
      [UNDONE],
      (runner) => recover(dir, runner, { ...silentLog, warn }),
    );
    assertEquals(files(dir), closed.map((device) => `${device}.json`));
    assertEquals(
      warned.filter((text) => /holds its routes closed.*-S/.test(text)).length,
      3,
    );
    await claimed(dir, { phase: "up", undo: [gone] });
    await recover(dir, system, silentLog);
    assertEquals(files(dir).length, 4);
  }));

Deno.test("recover() ends the keeper of a pvpn that died while connecting", () =>
  withState(async (dir) => {
    const owner = { pid: 4711, start: "1" };
    const keeper = { kind: "process", pid: 4712, start: "2" } as const;
    await claimed(dir, { phase: "connecting", owner, undo: [RULE, keeper] });
    await withRunner(
      [endOf("4712 2"), UNDONE],
      (runner) => recover(dir, runner, silentLog),
    );
    assertEquals(files(dir), []);
  }));

Deno.test("recover() undoes what died while it was stopped, and does not hand it over", () =>
  withState(async (dir) => {
    const { device } = await claimed(dir, { phase: "up", undo: [RULE] });
    const state = (await dir.read(device))!;
    // -S has written down that it begins, and is killed.
    const cut = new Error("cut");
    const killed = { change: () => Promise.reject(cut) } as unknown as Runner;
    await assertRejects(() => new Journal(dir, state).close(killed));
    assertEquals((await dir.read(device))?.phase, "stopping");
    await withRunner([UNDONE], async (runner) => {
      const { dead, undid } = await recover(
        ...[dir, runner, silentLog] as const,
        () => true,
      );
      assertEquals([dead, undid], [undefined, true]);
    });
    assertEquals(files(dir), []);
  }));

Deno.test("recover() goes on after a stop that fails again, and tells of it", () =>
  withState(async (dir) => {
    const failed = await claimed(dir, { phase: "stopping", undo: [RULE] });
    const other = { ...RULE, words: ["priority", "10001"] };
    await claimed(dir, { phase: "connecting", undo: [other] });
    const stderr =
      "RTNETLINK answers: Operation not permitted\nCommand failed -:1\n";
    const warned: string[] = [];
    const log = { ...silentLog, warn: (line: string) => warned.push(line) };
    await withRunner([
      { ...UNDONE, output: { status: 1, stderr } },
      batch(["ip", "-4", "-force"], ["rule delete priority 10001"]),
    ], (runner) => recover(dir, runner, log as typeof silentLog));
    assertEquals(await dir.devices(), [failed.device]);
    assertMatch(warned[0]!, /could be undone.*not permitted.*pvpn -S/);
  }));

Deno.test("reconnect() undoes a tunnel whose stop was killed, and brings none up", () =>
  withState(async (dir) => {
    const { device } = await claimed(dir, { phase: "stopping", undo: [RULE] });
    await withRunner([UNDONE], async (runner) => {
      const { signal } = new AbortController();
      const env = { dir, runner, signal, log: silentLog };
      await reconnect(device, env as unknown as Environment);
    });
    assertEquals(await dir.check(), false); // nor is its folder there
  }));

Deno.test("recover() leaves alone what is up", () =>
  withState((dir) =>
    withProcess("exec sleep 60", async (id) => {
      const undo: UndoStep[] = [RULE, { kind: "process", ...id }];
      const { device } = await claimed(dir, { phase: "up", undo });
      const runner = new FakeRunner([
        query(["sh", "-c", /./, "pvpn", "alive", `${id.pid} ${id.start}`], {
          stdout: `${id.pid}\n`,
        }),
      ]);
      await recover(dir, runner, silentLog);
      runner.done();
      assertEquals(await dir.devices(), [device]);
      await recover(dir, system, silentLog);
      assertEquals((await dir.read(device))?.undo, undo);
    })
  ));

Deno.test("recover() leaves alone what somebody is at work on", () =>
  withState(async (dir) => {
    const { lock } = await claim({ ...TUNNEL }, PREFIX, FREE, dir, PAIRS);
    await withRunner([], (runner) => recover(dir, runner, silentLog));
    assertEquals((await dir.devices()).length, 1);
    await lock.release();
  }));

Deno.test("recover() removes files that stand for no tunnel", () =>
  withState(async (dir) => {
    await (await dir.lock()).release();
    for (const name of ["tun7.lock", "tun8.json.new", "tun9.stop"]) {
      await Deno.writeTextFile(`${dir.path}/${name}`, "");
    }
    await withRunner([], (runner) => recover(dir, runner, silentLog));
    assertEquals(files(dir), []);
  }));

Deno.test("recover() keeps what it cannot undo, and lets go of all locks", () =>
  withState(async (dir) => {
    const states = [await claimed(dir, { undo: [RULE] }), await claimed(dir)];
    const stderr =
      "RTNETLINK answers: Operation not permitted\nCommand failed -:1\n";
    const error = await withRunner(
      [{ ...UNDONE, output: { status: 1, stderr } }],
      (runner) => failureOf(() => recover(dir, runner, silentLog)),
    );
    assertEquals(error.code, 9);
    for (const { device } of states) {
      const lock = await dir.lockDevice(device, { wait: false });
      assert(lock !== undefined, device);
      await lock.release();
    }
    assertEquals((await dir.read(states[0]!.device))?.undo, [RULE]);
  }));

Deno.test("recover() lets go of all locks when a state makes no sense", () =>
  withState(async (dir) => {
    const { device } = await claimed(dir);
    await Deno.writeTextFile(dir.file(`${PREFIX}9`, "json"), "{");
    await withRunner(
      [],
      (runner) => failureOf(() => recover(dir, runner, silentLog)),
    );
    for (const name of [device, `${PREFIX}9`]) {
      const lock = await dir.lockDevice(name, { wait: false });
      assert(lock !== undefined, name);
      await lock.release();
    }
  }));

Deno.test("recover() hands a dead tunnel, with its lock, to who wants it", () =>
  withState(async (dir) => {
    for (const phase of ["up", "reconnecting", "up"] as const) {
      await claimed(dir, { phase, undo: [RULE] });
    }
    const [first, second, third] = await dir.devices();
    const warned: string[] = [];
    const warn = (text: string) => void warned.push(text);
    const { dead: found, undid } = await withRunner(
      [],
      (runner) =>
        recover(
          ...[dir, runner, { ...silentLog, warn }] as const,
          ({ device }) => device !== first,
        ),
    );
    assertEquals(undid, false);
    assertEquals(found?.journal.state.device, second);
    assertEquals(warned.map((text) => /"(\w+)"/.exec(text)?.[1]), [
      first,
      third,
    ]);
    assertEquals(await dir.lockDevice(second!, { wait: false }), undefined);
    await found!.lock.release();
    for (const device of [first!, second!, third!]) {
      await (await dir.lockDevice(device, { wait: false }))!.release();
    }
  }));

Deno.test("recover() hands nothing over that is up, connecting or worked on", () =>
  withState((dir) =>
    withProcess("exec sleep 60", async (id) => {
      const undo: UndoStep[] = [{ kind: "process", ...id }];
      await claimed(dir, { phase: "up", undo });
      await claimed(dir, { phase: "connecting" });
      const { lock } = await claim(
        { ...TUNNEL, phase: "reconnecting" },
        ...[PREFIX, FREE, dir, PAIRS] as const,
      );
      const { dead, undid } = await recover(dir, system, silentLog, () => true);
      assertEquals([dead, undid], [undefined, true]);
      await lock.release();
    })
  ));
