import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Journal } from "../../lib/journal.ts";
import { failureOf, withDir, within } from "./helpers.ts";
import { NEW as STATE } from "./sample_state.ts";
import { StateDir } from "../../lib/state_dir.ts";

/** Lends a state folder that is made, and can be removed. */
const withState = (use: (dir: StateDir) => Promise<void>) =>
  withDir((path) => use(new StateDir(`${path}/state`)));

async function made(dir: StateDir): Promise<void> {
  await (await dir.lock()).release();
}

const mode = async (path: string) => (await Deno.lstat(path)).mode! & 0o7777;

Deno.test("StateDir.lock() makes a folder for nobody else", () =>
  withState(async (dir) => {
    assertEquals(await dir.check(), false);
    await made(dir);
    assertEquals(await mode(dir.path), 0o700);
    assertEquals(await dir.check(), true);
  }));

Deno.test("StateDir refuses a folder that others can write, a link, and a file", () =>
  withState(async (dir) => {
    const refused = async () => {
      for (
        const act of [
          ...[() => dir.check(), () => dir.devices(), () => dir.files()],
          () => dir.read("tun0"),
        ]
      ) {
        const error = await failureOf(act);
        assertEquals(error.code, 9);
        assertMatch(error.message, /root's alone/);
      }
    };
    await Deno.mkdir(dir.path);
    for (const bits of [0o777, 0o1777, 0o770, 0o701, 0o705]) {
      await Deno.chmod(dir.path, bits);
      await refused();
    }
    await Deno.chmod(dir.path, 0o700);
    if (Deno.uid() === 0) {
      await Deno.chown(dir.path, 65534, null);
      await refused();
      await Deno.chown(dir.path, 0, null);
    }
    await Deno.rename(dir.path, `${dir.path}.real`);
    await Deno.symlink(`${dir.path}.real`, dir.path);
    await refused();
    await Deno.remove(dir.path);
    await Deno.writeTextFile(dir.path, "", { mode: 0o600 });
    await refused();
  }));

Deno.test("StateDir.lock() refuses what is not a folder of its own", () =>
  withState(async (dir) => {
    await Deno.mkdir(dir.path, { mode: 0o755 });
    const refused = async () => {
      const lock = dir.lock();
      try {
        assertEquals((await failureOf(() => within(1, lock))).code, 9);
      } finally {
        // Should it go on trying, it succeeds now.
        await Deno.remove(dir.path);
        const late = await within(1, lock).catch(() => undefined);
        await late?.release();
        await Deno.remove(dir.path).catch(() => {});
      }
    };
    await refused();
    await Deno.mkdir(`${dir.path}.real`, { mode: 0o700 });
    await Deno.symlink(`${dir.path}.real`, dir.path);
    await refused();
    await Deno.symlink("/nowhere", dir.path);
    await refused();
    await Deno.writeTextFile(dir.path, "", { mode: 0o600 });
    await refused();
  }));

Deno.test("StateDir lists devices in order, and no other names", () =>
  withState(async (dir) => {
    await made(dir);
    const names = [
      ...["tun10.json", "tun2.json", "tun1.json.new", "ppp0.lock", "tun2.lock"],
      ...[
        "-j.json",
        ".json",
        "a b.json",
        "x",
        "..json",
        `${"t".repeat(16)}.json`,
      ],
    ];
    for (const name of names) {
      await Deno.writeTextFile(`${dir.path}/${name}`, "");
    }
    assertEquals(await dir.devices(), ["tun2", "tun10"]);
    assertEquals(await dir.files(), ["ppp0", "tun1", "tun2", "tun10"]);
  }));

Deno.test("StateDir.tidy() removes the folder with its last file, and not before", () =>
  withState(async (dir) => {
    await dir.tidy(); // not there: nothing to do
    await made(dir);
    await new Journal(dir, STATE).update({});
    await dir.tidy();
    assertEquals(await dir.devices(), ["tun0"]);
    await dir.remove("tun0");
    await dir.tidy();
    await assertRejects(() => Deno.lstat(dir.path), Deno.errors.NotFound);
  }));

Deno.test("StateDir has no devices when the folder goes while it looks", () =>
  withDir(async (dir) => {
    class Going extends StateDir {
      override async check(): Promise<boolean> {
        const there = await super.check();
        if (there) await Deno.remove(this.path);
        return there;
      }
    }
    const going = new Going(`${dir}/state`);
    await Deno.mkdir(going.path, { mode: 0o700 });
    assertEquals(await going.devices(), []);
  }));

Deno.test("StateDir.lock() makes the folder anew when it goes while it waits", () =>
  withState(async (dir) => {
    let inside = 0;
    await Promise.all(Array.from({ length: 10 }, async () => {
      for (let i = 0; i < 5; i++) {
        const lock = await dir.lock();
        assertEquals(++inside, 1);
        assert(await dir.check());
        await new Promise((resolve) => setTimeout(resolve, 0));
        inside--;
        await lock.release();
        await dir.tidy();
      }
    }));
  }));

Deno.test("StateDir.remove() says what is still there", () =>
  withState(async (dir) => {
    const path = dir.file("tun0", "json");
    await Deno.mkdir(`${path}/not-empty`, { recursive: true });
    const { code, message, hints } = await failureOf(() => dir.remove("tun0"));
    assertEquals(code, 9);
    assert(message.startsWith(`${path} is still there: `), message);
    assertMatch(hints[0]!, /findmnt -T/);
  }));
