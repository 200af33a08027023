import { assert, assertEquals, assertMatch } from "@std/assert";
import { claim, pretend, recover } from "../../lib/claim.ts";
import { StateDir } from "../../lib/journal.ts";
import { silentLog } from "../../lib/log.ts";
import type { RoutingTable } from "../../lib/routing_table.ts";
import type { TunnelState } from "../../lib/state.ts";
import type { IpStep, UndoStep } from "../../lib/undo.ts";
import { batch, change, FakeRunner, query, withRunner } from "./fake_runner.ts";
import {
  failureOf,
  identify,
  system,
  withDir,
  within,
  withProcess,
} from "./helpers.ts";
import { NEW } from "./sample_state.ts";

const { device: _, slot: __, undo: ___, ...TUNNEL } = NEW;
// No machine has devices of this name.
const PREFIX = "pvpntest";
const FREE: RoutingTable = {
  ...{ taken: [], main: [], ipv6: false, tables: new Set() },
};

const withState = (use: (dir: StateDir) => Promise<void>) =>
  withDir((path) => use(new StateDir(`${path}/state`)));

/** Claims a tunnel, and lets go of its lock. */
async function claimed(
  dir: StateDir,
  more: Partial<TunnelState> = {},
  routing = FREE,
): Promise<TunnelState> {
  const { journal, lock } = await claim(
    { ...TUNNEL, ...more },
    PREFIX,
    routing,
    dir,
  );
  await journal.update(more.undo === undefined ? {} : { undo: more.undo });
  await lock.release();
  return journal.state;
}

Deno.test("claim() writes down a device and a number that nobody has", () =>
  withState(async (dir) => {
    const states = [];
    for (let i = 0; i < 3; i++) states.push(await claimed(dir));
    assertEquals(states.map(({ device, slot }) => [device, slot]), [
      ...[[`${PREFIX}0`, 0], [`${PREFIX}1`, 1], [`${PREFIX}2`, 2]],
    ]);
    await dir.remove(`${PREFIX}1`);
    const { device, slot } = await claimed(dir);
    assertEquals([device, slot], [`${PREFIX}1`, 1]);
    assertEquals(await dir.read(device), await dir.read(`${PREFIX}1`));
  }));

Deno.test("claim() passes over tables that have somebody's routes in them", () =>
  withState(async (dir) => {
    const tables = new Set(["10000", "10001", "10003", "main"]);
    const slots = [];
    for (let i = 0; i < 2; i++) {
      slots.push((await claimed(dir, {}, { ...FREE, tables })).slot);
    }
    assertEquals(slots, [2, 4]);
    const all = new Set(Array.from({ length: 1000 }, (_, i) => `${10000 + i}`));
    const error = await failureOf(() =>
      claimed(dir, {}, { ...FREE, tables: all })
    );
    assertEquals(error.code, 7);
  }));

Deno.test("claim() passes over devices that are there", () =>
  withState(async (dir) => {
    // Of which every machine has at least one.
    const names = [...Deno.readDirSync("/sys/class/net")].map(({ name }) =>
      name
    );
    const found = names.map((name) => /^(.*?)(\d+)$/.exec(name))
      .find((match) => match !== null && match[2] === "0");
    const prefix = found?.[1] ?? PREFIX;
    const { journal, lock } = await claim(TUNNEL, prefix, FREE, dir);
    assert(!names.includes(journal.state.device), journal.state.device);
    await lock.release();
  }));

Deno.test("claim() gives ten at once ten devices and numbers", () =>
  withState(async (dir) => {
    const states = await within(
      10,
      Promise.all(Array.from({ length: 10 }, () => claimed(dir))),
    );
    assertEquals(new Set(states.map(({ device }) => device)).size, 10);
    assertEquals(new Set(states.map(({ slot }) => slot)).size, 10);
  }));

Deno.test("claim() holds the device's lock", () =>
  withState(async (dir) => {
    const { journal, lock } = await claim(TUNNEL, PREFIX, FREE, dir);
    const { device } = journal.state;
    assertEquals(await dir.lockDevice(device, { wait: false }), undefined);
    await lock.release();
    await (await dir.lockDevice(device, { wait: false }))!.release();
  }));

Deno.test("claim() gives one tunnel at a time the default route", () =>
  withState(async (dir) => {
    const first = await claimed(dir, { routes: ["default"] });
    const error = await failureOf(() => claimed(dir, { routes: ["default"] }));
    assertEquals(error.code, 7);
    assertMatch(error.hints.join(), new RegExp(`pvpn -S ${first.device}`));
    assertEquals((await dir.devices()).length, 1);
    await claimed(dir, { routes: ["10.0.0.0/8"] });
    // Refused or not, the folder's lock is free again.
    await (await within(2, dir.lock())).release();
  }));

Deno.test("pretend() leaves no trace", () =>
  withState(async (dir) => {
    const journal = await pretend(TUNNEL, PREFIX, FREE, dir);
    assertEquals(journal.state.device, `${PREFIX}0`);
    await journal.update({ phase: "up" });
    assertEquals(await dir.check(), false);
  }));

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
    const end = ["sh", "-c", /./, "pvpn", "end", "4712", "2"];
    await withRunner(
      [change(end), UNDONE],
      (runner) => recover(dir, runner, silentLog),
    );
    assertEquals(files(dir), []);
  }));

Deno.test("recover() leaves alone what is up", () =>
  withState((dir) =>
    withProcess("exec sleep 60", async (id) => {
      const undo: UndoStep[] = [RULE, { kind: "process", ...id }];
      const { device } = await claimed(dir, { phase: "up", undo });
      const runner = new FakeRunner([
        query(["sh", "-c", /./, "pvpn", "alive", `${id.pid}`, id.start], {
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
    const { lock } = await claim({ ...TUNNEL }, PREFIX, FREE, dir);
    await withRunner([], (runner) => recover(dir, runner, silentLog));
    assertEquals((await dir.devices()).length, 1);
    await lock.release();
  }));

Deno.test("recover() removes files that stand for no tunnel", () =>
  withState(async (dir) => {
    await (await dir.lock()).release();
    for (const name of ["tun7.lock", "tun8.json.new"]) {
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
