import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatPrefix } from "../../lib/address.ts";
import { type Chooser, claim, pretend } from "../../lib/claim.ts";
import { PvpnError } from "../../lib/errors.ts";
import { claimed, FREE, PAIRS, PREFIX, TUNNEL, withState } from "./claimed.ts";
import { failureOf, within } from "./helpers.ts";

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

Deno.test("claim() that fails leaves no folder", () =>
  withState(async (dir) => {
    const choose: Chooser = () => {
      throw new PvpnError(7, "no pair");
    };
    await failureOf(() => claim(TUNNEL, PREFIX, FREE, dir, choose));
    assertEquals(await dir.check(), false);
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
    const { journal, lock } = await claim(TUNNEL, prefix, FREE, dir, PAIRS);
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

Deno.test("claim() reserves the pairs that a server may choose from", () =>
  withState(async (dir) => {
    const seen: string[][] = [];
    const choose: Chooser = (reserved) => {
      seen.push(reserved.map(formatPrefix));
      return PAIRS(reserved);
    };
    const claims = [];
    for (let n = 0; n < 3; n++) {
      claims.push(await claim(TUNNEL, PREFIX, FREE, dir, choose));
    }
    const reserved = claims.map(({ journal }) => journal.state.pairs!);
    const halves = reserved.map((pairs) =>
      pairs.flatMap((pair) => pair.split(":")).map((half) => `${half}/32`)
    );
    assertEquals(seen.map(({ length }) => length), [0, 12, 24]);
    assertEquals(seen[2]!.sort(), halves.slice(0, 2).flat().sort());
    assertEquals(new Set(halves.flat()).size, 36);
    // One that is in use is not in the routing table that was read before.
    await claims[0]!.journal.update({
      ...{ pairs: undefined, pair: "10.9.9.1:10.9.9.2" },
    });
    const [pair] = reserved[1]!;
    for (const asked of ["10.9.9.1:any", pair!]) {
      const error = await failureOf(() => claimed(dir, { pair: asked }));
      assertEquals(error.code, 7);
      assertMatch(error.message, /^the address .* is that of the tunnel/);
    }
    for (const { lock } of claims) await lock.release();
  }));

Deno.test("claim() holds the device's lock", () =>
  withState(async (dir) => {
    const { journal, lock } = await claim(TUNNEL, PREFIX, FREE, dir, PAIRS);
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
    const { journal } = await pretend(TUNNEL, PREFIX, FREE, dir, PAIRS);
    assertEquals(journal.state.device, `${PREFIX}0`);
    await journal.update({ phase: "up" });
    assertEquals(await dir.check(), false);
  }));
