/**
 * The folder of all journals, `/run/pvpn`, with the locks that order who changes
 * what in it.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { Journal } from "./journal.ts";
import { acquire, type Lock } from "./lock.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { parseState, type TunnelState } from "./state.ts";
import { cannotWrite, isFull, readOwn, removeOwn } from "./state_file.ts";

/** Where state is kept: on a file system that a reboot empties. */
export const STATE_DIR = "/run/pvpn";

/** The folder of all journals. */
export class StateDir {
  /** @param path The folder; {@linkcode STATE_DIR} but in tests. */
  constructor(readonly path: string = STATE_DIR) {}

  /**
   * Makes the folder, and takes the lock that orders all who look for a free
   * device; held for milliseconds.
   *
   * @throws {PvpnError} Where the folder is not root's alone: its files say
   * what is undone with root's rights.
   */
  async lock(): Promise<Lock> {
    while (true) {
      try {
        await Deno.mkdir(this.path, { mode: 0o700 });
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) {
          throw cannotWrite(this.path, error);
        }
      }
      await this.check();
      const lock = await acquire(this.path, { wait: true, create: false });
      if (lock !== undefined) return lock;
      // The end of the last tunnel removed it in the meantime.
    }
  }

  /** See {@linkcode StateDir.lock}; no error where the folder is not there. */
  async check(): Promise<boolean> {
    let info: Deno.FileInfo;
    try {
      info = await Deno.lstat(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
    const owner = Deno.uid();
    if (info.isDirectory && info.uid === owner && (info.mode! & 0o077) === 0) {
      return true;
    }
    throw new PvpnError(
      ExitCode.state,
      `${this.path} is not a folder of root's alone`,
      [`look at what is in it, then: rm -r ${this.path}`],
    );
  }

  /** The devices that have a journal, in order. */
  devices(): Promise<string[]> {
    return this.#names(/^(.+)\.json$/);
  }

  /** The devices that have any file, in order. */
  files(): Promise<string[]> {
    return this.#names(/^(.+?)\.(?:json|json\.new|lock|stop)$/);
  }

  async #names(pattern: RegExp): Promise<string[]> {
    if (!await this.check()) return [];
    const names = new Set<string>();
    try {
      for await (const { name } of Deno.readDir(this.path)) {
        const device = pattern.exec(name)?.[1] ?? "";
        if (DEVICE_REGEXP.test(device)) names.add(device);
      }
    } catch (error) {
      // The end of the last tunnel removed it in the meantime.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    // tun2 before tun10. (Intl.Collator, for the same, takes 20 ms to load.)
    return [...names].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  }

  /**
   * Reads one journal.
   *
   * @returns `undefined` where there is none.
   * @throws {PvpnError} Where it cannot be understood.
   */
  async read(device: string): Promise<TunnelState | undefined> {
    if (!await this.check()) return undefined;
    const text = await readOwn(this.file(device, "json"), device);
    return text === undefined ? undefined : parseState(text, device);
  }

  /** Reads all journals, in the order of their devices. */
  async states(): Promise<TunnelState[]> {
    const states: TunnelState[] = [];
    for (const device of await this.devices()) {
      const state = await this.read(device);
      if (state !== undefined) states.push(state);
    }
    return states;
  }

  /**
   * Takes the lock of a device, which orders all who change the tunnel.
   *
   * @returns `undefined` where another pvpn has it and `wait` is not set.
   * @throws {PvpnError} Where there is no room for it. Only who is to `undo`
   * gets the folder's lock then, which is not to be held for long: nobody has
   * the device's, or its file would be there.
   */
  async lockDevice(
    device: string,
    { wait, undo = false }: { wait: boolean; undo?: boolean },
  ): Promise<Lock | undefined> {
    const path = this.file(device, "lock");
    try {
      return await acquire(path, { wait, create: true });
    } catch (error) {
      if (!undo || !isFull(error)) throw cannotWrite(path, error);
      return await acquire(this.path, { wait, create: false });
    }
  }

  /**
   * Takes the turn to stop a device's tunnel; waits for whoever has it.
   *
   * @returns `undefined` where not even the folder is there.
   */
  async lockStop(device: string): Promise<Lock | undefined> {
    const path = this.file(device, "stop");
    try {
      return await acquire(path, { wait: true, create: true });
    } catch (error) {
      if (!isFull(error)) throw cannotWrite(path, error);
      return { release: () => Promise.resolve() }; // stopping needs no room
    }
  }

  /** Undoes what a state says and removes the files; hold the lock. */
  async discard(
    device: string,
    state: TunnelState | undefined,
    runner: Runner,
  ): Promise<void> {
    if (state !== undefined) await new Journal(this, state).close(runner);
    await this.remove(device);
  }

  /**
   * Removes a device's journal, and what is left of a stop that was killed;
   * hold the lock. Who is just stopping it does not miss it.
   */
  async remove(device: string): Promise<void> {
    for (const kind of ["json.new", "json", "stop"] as const) {
      await removeOwn(this.file(device, kind));
    }
  }

  /** The path of one of a device's files. */
  file(device: string, kind: "json" | "json.new" | "lock" | "stop"): string {
    return `${this.path}/${device}.${kind}`;
  }

  /** Removes the folder where nothing is in it any more. */
  async tidy(): Promise<void> {
    const lock = await acquire(this.path, { wait: true, create: false });
    if (lock === undefined) return;
    try {
      await removeOwn(this.path);
    } catch (error) {
      // ENOTEMPTY, which has no class of its own: other tunnels are there.
      const { cause } = error as { cause?: { code?: string } };
      if (cause?.code !== "ENOTEMPTY") throw error;
    } finally {
      await lock.release();
    }
  }
}
