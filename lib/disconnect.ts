/**
 * Disconnect: `-S`.
 *
 * @module
 */
import { recover } from "./claim.ts";
import type { Environment } from "./environment.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { DEVICE_GROUP } from "./link.ts";
import type { Lock } from "./lock.ts";
import { stopOwner } from "./process.ts";
import { closedLink, restoreLeft } from "./resolver_step.ts";

/**
 * Stops one tunnel: ends whoever is at work on it, then undoes what is left.
 *
 * @throws {PvpnError} Where there is no such tunnel, or not all of it could
 * be undone.
 */
export async function disconnect(
  device: string,
  env: Environment,
): Promise<void> {
  if (!await stop(device, env)) throw await noSuchTunnel(device, env);
}

/** See {@linkcode disconnect}; false where there is no such tunnel. */
async function stop(device: string, env: Environment): Promise<boolean> {
  const { dir, runner } = env;
  if (await dir.read(device) === undefined) return false;
  // Of several who want to stop it, one does; for the others it has gone then.
  const turn = await dir.lockStop(device);
  if (turn === undefined) return false;
  try {
    if (await dir.read(device) === undefined) return false;
    const lock = await lockStopped(device, env);
    try {
      // Without it, whoever was asked to end has undone all.
      if (lock !== undefined) {
        await dir.discard(device, await dir.read(device), runner);
      }
    } finally {
      await lock?.release();
    }
    return true;
  } finally {
    await turn.release();
    await dir.tidy();
  }
}

/**
 * Takes the lock of a device; whoever has it is asked to end. It undoes by
 * itself then, and if it does not, or was killed, the journal says what is
 * left.
 *
 * @returns `undefined` where nothing is left, not even the folder.
 */
async function lockStopped(
  device: string,
  env: Environment,
): Promise<Lock | undefined> {
  const { dir, runner } = env;
  while (true) {
    const lock = await dir.lockDevice(device, { wait: false, undo: true });
    if (lock !== undefined) return lock;
    const state = await dir.read(device);
    if (state === undefined) return undefined;
    if (state.owner !== undefined) await stopOwner(runner, state.owner);
    // Who has just taken the lock has not said yet who it is; and one for whom
    // a stand-in was asked may still be at it.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function noSuchTunnel(
  device: string,
  env: Environment,
): Promise<PvpnError> {
  const devices = await env.dir.devices();
  return new PvpnError(
    ExitCode.state,
    `there is no tunnel "${device}"`,
    [
      devices.length === 0
        ? "no tunnel is up"
        : `those that are: ${devices.join(", ")}`,
      ...await hintsOfLost(env),
    ],
  );
}

/** What there is to say of tunnels whose state somebody has removed. */
async function hintsOfLost({ dir, runner }: Environment): Promise<string[]> {
  const before = await dir.devices(); // of which some may end meanwhile
  const group = ["group", String(DEVICE_GROUP)];
  const { stdout } = await runner.query(["ip", "-o", "link", "show", ...group]);
  const there = [...stdout.matchAll(/^\d+: ([^:@\s]+)/gm)].map(([, d]) => d!);
  const known = [...before, ...await dir.devices()];
  return there.filter((device) =>
    !known.includes(device) && !device.endsWith(closedLink(""))
  ).map((device) =>
    `"${device}" is one of pvpn's, but ${dir.file(device, "json")} is gone: ` +
    "nobody knows what to undo, and its routes stay closed until a reboot"
  );
}

/**
 * How many tunnels are stopped at the same time: each may wait for another
 * pvpn that is stopping it, in one of Deno's 32 threads for files.
 */
const AT_ONCE = 8;

/**
 * Stops all tunnels, some at the same time.
 *
 * @param stopped Gets the device of each as it is stopped.
 * @throws {PvpnError} Where there is none, or one could not be undone; the
 * others are stopped all the same.
 */
export async function disconnectAll(
  env: Environment,
  stopped: (device: string) => void,
): Promise<void> {
  if (await stopAll(env, stopped)) return;
  const { dir, runner, log } = env;
  await recover(dir, runner, log); // stray files of a run that was cut
  await restoreLeft(runner, log);
  await dir.tidy();
  throw new PvpnError(
    ExitCode.state,
    "no tunnel is up",
    await hintsOfLost(env),
  );
}

/** See {@linkcode disconnectAll}; false where there is none. */
export async function stopAll(
  env: Environment,
  stopped: (device: string) => void,
): Promise<boolean> {
  const { dir, log } = env;
  let any = false;
  const devices = (await dir.devices()).values();
  const reasons: Error[] = [];
  const work = async () => {
    for (const device of devices) {
      try {
        if (!await stop(device, env)) continue; // somebody else did
        any = true;
        stopped(device);
      } catch (error) {
        reasons.push(error as Error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  for (const reason of reasons.slice(1)) log.error(reason.message);
  if (reasons.length > 0) throw reasons[0];
  return any;
}
