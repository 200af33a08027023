/**
 * The journal of a tunnel: `/run/pvpn/DEVICE.json`, the truth about what was
 * changed here and how to take it back. Each change is recorded with its undo
 * before it is made, so that a run can be cut at any point.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { acquire, type Lock } from "./lock.ts";
import { printable } from "./log.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { isTransient, parseState, type TunnelState } from "./state.ts";
import {
  cannotWrite,
  isFull,
  readOwn,
  removeOwn,
  unlessFull,
} from "./state_file.ts";
import { type UndoFailure, undoSteps } from "./undo.ts";
import type { UndoStep } from "./undo_step.ts";

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

/** One tunnel's state, kept in its file; hold the device's lock. */
export class Journal {
  readonly #dir: StateDir | undefined;
  #state: TunnelState;
  #written: Promise<void> = Promise.resolve();

  /**
   * @param dir Where the file is; without it, nothing is written (a dry run).
   * @param state What the file says, or is to say.
   */
  constructor(dir: StateDir | undefined, state: TunnelState) {
    this.#dir = dir;
    this.#state = state;
  }

  /** What is written down. */
  get state(): TunnelState {
    return this.#state;
  }

  /** Writes other values down; `undefined` takes one away. */
  async update(
    values: { [K in keyof TunnelState]?: TunnelState[K] | undefined },
  ): Promise<void> {
    const merged = { ...this.#state, ...values };
    if (merged.problem !== undefined) {
      // It may quote what a server said.
      const line = printable(merged.problem).replace(/\s+/g, " ");
      merged.problem = line.slice(0, 1000);
    }
    const kept = Object.entries(merged).filter(([, v]) => v !== undefined);
    this.#state = Object.fromEntries(kept) as unknown as TunnelState;
    // One after the other; a later one writes what an earlier one would.
    const write = () => this.#write();
    this.#written = this.#written.then(write, write);
    await this.#written;
  }

  async #write(): Promise<void> {
    if (this.#dir === undefined) return;
    const { device } = this.#state;
    const next = this.#dir.file(device, "json.new");
    const path = this.#dir.file(device, "json");
    try {
      // Renamed into place: a reader sees the old state or the new one whole.
      await Deno.writeTextFile(next, JSON.stringify(this.#state), {
        mode: 0o600,
      });
      await Deno.rename(next, path);
    } catch (error) {
      await Deno.remove(next).catch(() => {}); // it may not even be there
      throw cannotWrite(path, error);
    }
  }

  /** Records how changes are taken back; call it before they are made. */
  async record(...steps: UndoStep[]): Promise<void> {
    await this.update({ undo: [...this.#state.undo, ...steps] });
  }

  /**
   * Takes back the recorded steps that `which` picks, and forgets them; where
   * there is no room to write that down, they will be taken back once more.
   */
  async undo(
    runner: Runner,
    which: (step: UndoStep) => boolean = () => true,
  ): Promise<UndoFailure[]> {
    const picked = this.#state.undo.filter(which);
    const failures = await undoSteps(picked, runner);
    const failed = new Set(failures.map(({ step }) => step));
    await this.update({
      undo: this.#state.undo.filter((step) =>
        !picked.includes(step) || failed.has(step)
      ),
    }).catch(unlessFull);
    return failures;
  }

  /**
   * Takes everything back and removes the file; the tunnel is no more.
   *
   * @throws {PvpnError} Where a step failed: all are named, the file stays
   * with those that did, and the same can be tried again.
   */
  async close(runner: Runner): Promise<void> {
    // Whoever dies from here on leaves nothing that could be taken over; where
    // there is no room to say so, at least something that can be stopped.
    if (!isTransient(this.#state)) {
      await this.update({ phase: "stopping" }).catch(unlessFull);
    }
    const failures = await undoSteps(this.#state.undo, runner);
    const { device } = this.#state;
    if (failures.length === 0) return await this.#dir?.remove(device);
    await this.update({ undo: failures.map(({ step }) => step) })
      .catch(unlessFull);
    throw new PvpnError(
      ExitCode.state,
      `not all of "${device}" could be undone`,
      [
        ...failures.map(({ reason }) => reason),
        `try again: pvpn -S ${device}`,
      ],
    );
  }
}
