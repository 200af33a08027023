/**
 * Reconnect: what the keeper becomes when its ssh has ended. Routes stay
 * closed all the while.
 *
 * @module
 */
import { type Environment, rollBack } from "./environment.ts";
import { ExitCode, InterruptedError, PvpnError } from "./errors.ts";
import { Journal } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import { type Pair, parsePairRequest } from "./pair.ts";
import { type Self, self } from "./process.ts";
import { sshConfig } from "./ssh_config.ts";
import { isTransient } from "./state.ts";
import { unlessFull } from "./state_file.ts";
import { isClosedLink, type UndoStep } from "./undo_step.ts";
import { bringUp } from "./up.ts";

/** The longest time between two tries, in milliseconds. */
const MAX_DELAY = 30_000;
/** A connection that was shorter than this, in milliseconds, was no success. */
const SHORT = 10_000;
/** The time between two looks for room to write to, in milliseconds. */
const FULL_DELAY = 1000;

/** Milliseconds before try number `attempt`, counted from 0. */
export function backoff(attempt: number): number {
  return attempt === 0 ? 0 : Math.min(500 * 2 ** attempt, MAX_DELAY);
}

/** Resolves after a time; rejects when the signal is aborted. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  const timer = setTimeout(resolve, milliseconds);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  });
}

function knownPair(text: string | undefined): Pair {
  const { local, peer } = parsePairRequest(text ?? "");
  if (local === "any" || peer === "any") {
    throw new PvpnError(ExitCode.state, "the state has no addresses in it", [
      "stop the tunnel, and connect again: pvpn -S DEVICE",
    ]);
  }
  return { local, peer };
}

/** How it is tried. */
export interface RetryOptions {
  /** Whether this process stays. */
  readonly foreground?: boolean;
  /** Whether to try but once, with a terminal to ask on. */
  readonly once?: boolean;
  /** Is told why it is not up yet; of each cause once. */
  problem?(why: string): Promise<void>;
}

/**
 * Tries until the tunnel is up again.
 *
 * @param journal Of a tunnel that was up; hold the device's lock.
 * @param env Where; `env.signal` ends the trying.
 * @param options How.
 * @returns The new keeper.
 * @throws {InterruptedError} When it was told to end.
 * @throws {PvpnError} Why it failed, where it was tried but once.
 */
export async function retry(
  journal: Journal,
  env: Environment,
  { foreground = false, once = false, problem }: RetryOptions = {},
): Promise<Keeper> {
  const { runner, log, signal } = env;
  const { state } = journal;
  const isProcess = (step: UndoStep) => step.kind === "process";
  const closes = (step: UndoStep) =>
    step.kind === "resolver" ||
    step.kind === "ip" && (step.object === "rule" || isClosedLink(step));
  const lived = Date.now() - Date.parse(state.since ?? "");
  let me: Self | undefined;
  let tries = 0;
  if (state.fallback) {
    log.warn(`"${state.device}" is down: what it carried goes out in clear`);
  }
  for (let attempt = lived < SHORT && !once ? 1 : 0;; attempt++) {
    let paused = false;
    try {
      me ??= await self(runner, ["true"]);
      const owner = env.owner ?? me.id;
      await journal.update({ phase: "reconnecting", owner });
      await journal.undo(
        runner,
        (step) => isProcess(step) || state.fallback && closes(step),
      );
      await pause(backoff(attempt), signal);
      paused = true;
      const types = await env.registry();
      const found = await types.find(state.type, state.plugin);
      const keeper = await bringUp({
        ...{ journal, runner, log, signal },
        plugin: found.plugin,
        config: await sshConfig(state.host, state.sshArgs, state.user, runner),
        aes: me.aes,
        pairs: [knownPair(state.pair)],
        resume: true,
        // In turn: an address works without resolvers, and a name where the
        // server has moved, or its host certificate is for the name.
        knownAddress: tries++ % 2 === 0,
        batch: !once,
        after: foreground ? undefined : env.program,
        verbose: env.verbose,
      });
      await journal.update({
        phase: "up",
        owner: foreground ? owner : undefined,
        since: new Date().toISOString(),
        reconnects: journal.state.reconnects + 1,
        problem: undefined,
      });
      return keeper!;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof PvpnError)) throw error;
      const known = journal.state.problem;
      await journal.update({ problem: error.message }).catch(unlessFull);
      if (once) throw error;
      if (!paused) { // no try at all
        await pause(FULL_DELAY, signal);
        attempt--;
      }
      if (known === journal.state.problem) continue;
      log.warn(error.message);
      await problem?.(error.message);
    }
  }
}

/** `--reconnect DEVICE`: what a keeper runs. */
export async function reconnect(
  device: string,
  env: Environment,
): Promise<void> {
  while (true) {
    try {
      return await takeUp(device, env);
    } catch (error) {
      unlessFull(error);
    }
    // Without the lock: nobody could read who has it.
    await pause(FULL_DELAY, env.signal);
  }
}

/**
 * Takes a tunnel from its keeper, and brings it up.
 *
 * @throws {WriteError} Where that cannot be written down; nothing is changed.
 */
async function takeUp(device: string, env: Environment): Promise<void> {
  const { dir, runner, signal } = env;
  const aborted = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => aborted.reject(signal.reason));
  const lock = await Promise.race([
    dir.lockDevice(device, { wait: true }),
    aborted.promise,
  ]);
  let tidy = true;
  try {
    const state = await dir.read(device);
    if (state === undefined) return; // stopped in the meantime
    const journal = new Journal(dir, state);
    try {
      // The keeper that became this process is not to be ended by itself.
      const me = state.undo.filter((step) => step.kind === "process")
        .find(({ pid }) => pid === Deno.pid);
      const transient = isTransient(state);
      const told = journal.update({
        undo: state.undo.filter((step) => step !== me),
        ...transient ? {} : { phase: "reconnecting", owner: me },
      });
      await (transient ? told.catch(unlessFull) : told);
      if (transient) {
        // Whoever was connecting died before it was up, or -S before all was
        // undone.
        return await journal.close(runner);
      }
      const keeper = await retry(journal, env);
      await keeper.release();
      tidy = false;
    } catch (error) {
      if (!(error instanceof InterruptedError)) tidy = false;
      else await rollBack(journal, env);
      throw error;
    }
  } finally {
    await lock?.release();
    if (tidy) await dir.tidy();
  }
}
