import { assert, assertEquals, assertRejects } from "@std/assert";
import { acquire } from "../../lib/lock.ts";
import { Seeded } from "./fuzz.ts";
import { until, withDir, within } from "./helpers.ts";

const NOW = { wait: false, create: true };
const WAIT = { wait: true, create: true };
const inDir = (use: (file: string) => Promise<void>) =>
  withDir((dir) => use(`${dir}/lock`));

const pause = (milliseconds: number) =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Has another process hold a lock, by flock(1), until it is killed. */
async function withHolder(
  file: string,
  use: (end: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const child = new Deno.Command("sh", {
    args: ["-c", 'exec 9>"$0"; flock 9; echo held; exec sleep 60', file],
    ...{ stdin: "null", stdout: "piped" },
  }).spawn();
  const end = async () => {
    child.kill("SIGKILL");
    await child.status;
  };
  const reader = child.stdout.getReader();
  try {
    await reader.read();
    await use(end);
  } finally {
    await end().catch(() => {});
    await reader.cancel();
  }
}

Deno.test("acquire() makes a file that only its owner can read, for as long as it holds", () =>
  inDir(async (file) => {
    const lock = await acquire(file, NOW);
    assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
    await lock!.release();
    await assertRejects(() => Deno.stat(file), Deno.errors.NotFound);
  }));

Deno.test("acquire() does not wait, or make a file, unless it is asked to", () =>
  inDir(async (file) => {
    assertEquals(await acquire(file, { wait: true, create: false }), undefined);
    assertEquals(await acquire(`${file}/no/dir`, WAIT), undefined);
    const lock = await acquire(file, NOW);
    assertEquals(await acquire(file, NOW), undefined);
    await lock!.release();
  }));

Deno.test("acquire() and release() leave no descriptor open", () =>
  inDir(async (file) => {
    const open = () =>
      [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
        try {
          return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(file);
        } catch {
          return false;
        }
      }).length;
    for (let i = 0; i < 5; i++) {
      const lock = await acquire(file, NOW);
      await acquire(file, NOW);
      assertEquals(open(), 1);
      await lock!.release();
      assertEquals(open(), 0);
    }
  }));

Deno.test("acquire() keeps other processes out, and is kept out", () =>
  inDir((file) =>
    withHolder(file, async (end) => {
      assertEquals(await acquire(file, NOW), undefined);
      let entered = false;
      const waiting = acquire(file, WAIT).then((lock) => {
        entered = true;
        return lock;
      });
      await pause(50);
      assertEquals(entered, false);
      await end(); // SIGKILL: the kernel frees the lock
      const lock = await within(5, waiting);
      const { code } = await new Deno.Command("flock", {
        args: ["-n", file, "true"],
      }).output();
      assertEquals(code, 1);
      await lock!.release();
    })
  ));

Deno.test("acquire() locks a directory, and sees that it was replaced", () =>
  withDir(async (dir) => {
    const path = `${dir}/state`;
    const options = { wait: true, create: false };
    await Deno.mkdir(path);
    const first = await acquire(path, options);
    const second = acquire(path, options);
    await pause(20);
    await Deno.remove(path);
    await Deno.mkdir(path); // with the same name, but not the one waited for
    await first!.release();
    const lock = await within(5, second);
    assertEquals(
      await acquire(path, { wait: false, create: false }),
      undefined,
    );
    await lock!.release();
    assert((await Deno.stat(path)).isDirectory);
  }));

Deno.test("acquire() gives up on a directory that goes while it waits", () =>
  withDir(async (dir) => {
    const path = `${dir}/state`;
    const options = { wait: true, create: false };
    await Deno.mkdir(path);
    const first = await acquire(path, options);
    const second = acquire(path, options);
    await pause(20);
    await Deno.remove(path);
    await first!.release();
    assertEquals(await within(5, second), undefined);
  }));

Deno.test("release() lets a waiting one lock a file that is there", () =>
  inDir(async (file) => {
    const first = await acquire(file, WAIT);
    const second = acquire(file, WAIT);
    await pause(20); // it waits on the file that is about to go
    await first!.release();
    const lock = await within(5, second);
    assertEquals(await acquire(file, NOW), undefined);
    await lock!.release();
  }));

Deno.test("release() does not mind that somebody removed the file", () =>
  inDir(async (file) => {
    const lock = await acquire(file, NOW);
    await Deno.remove(file);
    await lock!.release();
  }));

Deno.test("acquire() excludes 20 that come, remove and go", () =>
  inDir(async (file) => {
    const seeded = new Seeded(14);
    let inside = 0;
    let entered = 0;
    const visit = async () => {
      for (let i = 0; i < 15; i++) {
        const wait = seeded.below(3) > 0;
        const lock = await acquire(file, { wait, create: true });
        if (lock === undefined) {
          assert(!wait);
          continue;
        }
        assertEquals(++inside, 1);
        entered++;
        await pause(seeded.below(2));
        assertEquals(inside--, 1);
        await lock.release();
      }
    };
    await within(20, Promise.all(Array.from({ length: 20 }, visit)));
    assert(entered > 150);
  }));

Deno.test("acquire() excludes other processes that come, remove and go", () =>
  withDir(async (dir) => {
    // Each enters by making a directory, which fails when one is in already.
    const module = import.meta.resolve("../../lib/lock.ts");
    const code = `
      import { acquire } from ${JSON.stringify(module)};
      for (let i = 0; i < 60; i++) {
        const lock = await acquire(${JSON.stringify(`${dir}/lock`)},
          { wait: true, create: true });
        Deno.mkdirSync(${JSON.stringify(`${dir}/inside`)});
        await new Promise((resolve) => setTimeout(resolve, 0));
        Deno.removeSync(${JSON.stringify(`${dir}/inside`)});
        await lock.release();
      }`;
    await Deno.writeTextFile(`${dir}/visit.ts`, code);
    const visits = Array.from(
      { length: 3 },
      () =>
        new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "-A",
            "--no-config",
            "--no-check",
            "-q",
            `${dir}/visit.ts`,
          ],
          ...{ stdin: "null", stdout: "null", stderr: "piped" },
        }).output(),
    );
    let ended = false;
    const all = Promise.all(visits).finally(() => ended = true);
    await until(() => ended, 20);
    for (const { code, stderr } of await all) {
      assertEquals(code, 0, new TextDecoder().decode(stderr));
    }
  }));

Deno.test("acquire() lets more wait than Deno has threads for files", () =>
  inDir(async (file) => {
    let holders = 0;
    const use = async () => {
      const lock = await acquire(file, WAIT);
      assertEquals(++holders, 1);
      await Deno.lstat(file);
      holders--;
      await lock!.release();
    };
    await within(20, Promise.all(Array.from({ length: 64 }, use)));
    // Who fails, or finds nothing to lock, lets the next one have its turn.
    const nothing = { wait: true, create: false };
    for (let i = 0; i < 2; i++) {
      assertEquals(await within(5, acquire(file, nothing)), undefined);
      await assertRejects(() => within(5, acquire(`${file}\0`, nothing)));
    }
  }));
