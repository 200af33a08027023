/**
 * The journal of a tunnel: `/run/pvpn/DEVICE.json`, the truth about what was
 * changed here and how to take it back. Each change is recorded with its undo
 * before it is made, so that a run can be cut at any point.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { printable } from "./log.ts";
import { isTransient, type TunnelState } from "./state.ts";
import type { StateDir } from "./state_dir.ts";
import { cannotWrite, unlessFull } from "./state_file.ts";
import { type UndoFailure, undoSteps } from "./undo.ts";
import type { UndoStep } from "./undo_step.ts";

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
