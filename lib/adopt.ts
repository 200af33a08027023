/**
 * A tunnel that was up and has died holds its routes closed. Who asks for the
 * same again takes it over, so that it comes back without having been open in
 * between: a service that is started again, or somebody at a terminal.
 *
 * @module
 */
import type { Claim } from "./claim.ts";
import type { Connected, Environment } from "./environment.ts";
import { retry } from "./reconnect.ts";
import { unlessFull } from "./state_file.ts";

/**
 * Takes a dead tunnel over.
 *
 * @param dead The tunnel, and its lock.
 * @param foreground Whether this process stays: then it is to bring the
 * tunnel back, however long that takes, and `keeper` is not there yet.
 * @throws {PvpnError} Why it is not up; its routes are as closed as before.
 */
export async function adopt(
  { journal, lock }: Claim,
  foreground: boolean,
  env: Environment,
): Promise<Connected> {
  const { dir, log, runner, signal } = env;
  const { device } = journal.state;
  const release = async (options?: { tidy?: boolean }) => {
    await lock.release();
    if (options?.tidy) await dir.tidy();
  };
  log.info(`"${device}" had died, and held its routes closed: taking it over`);
  if (foreground) return { journal, keeper: undefined, release };
  try {
    const keeper = await retry(journal, env, { once: true });
    return { journal, keeper, release };
  } catch (error) {
    await journal.undo(runner, (step) => step.kind === "process");
    await journal.update({ owner: undefined }).catch(unlessFull);
    await release();
    log.warn(
      `"${device}" still holds its routes closed; ` +
        `to open them: pvpn -S ${device}`,
    );
    throw signal.aborted ? signal.reason : error;
  }
}
