/**
 * `--foreground`: this process does what keepers do otherwise, for systemd
 * and for looking at.
 *
 * @module
 */
import { type Connected, type Environment, rollBack } from "./connect.ts";
import { InterruptedError } from "./errors.ts";
import type { Keeper } from "./keeper.ts";
import { retry } from "./reconnect.ts";

/**
 * Holds a tunnel until the signal is aborted, then takes it down.
 *
 * @param connected A tunnel that is up.
 * @param env Where.
 * @param up Says that it is; a failure takes it down.
 * @throws {InterruptedError} Where that was SIGINT; SIGTERM and SIGHUP are
 * how a service is stopped.
 */
export async function hold(
  connected: Connected,
  env: Environment,
  up: () => void,
): Promise<void> {
  const { journal, release } = connected;
  const aborted = Promise.withResolvers<never>();
  env.signal.addEventListener("abort", () => aborted.reject(env.signal.reason));
  if (env.signal.aborted) aborted.reject(env.signal.reason);
  try {
    up();
    for (let keeper = connected.keeper!;;) {
      show(keeper, env);
      await Promise.race([keeper.ended, aborted.promise]);
      await keeper.acknowledge();
      env.log.warn(`"${journal.state.device}" lost its connection`);
      keeper = await retry(journal, env, true);
      env.log.info(`"${journal.state.device}" is connected again`);
    }
  } catch (error) {
    await rollBack(journal, env);
    await release({ tidy: true });
    const service = error instanceof InterruptedError &&
      !error.message.endsWith("SIGINT");
    if (!service) throw error;
  }
}

/** Reads on what ssh says, or it would stand still when the pipe is full. */
async function show(keeper: Keeper, { log }: Environment): Promise<void> {
  for await (const line of keeper.stderr) log.debug(line);
}
