/**
 * `--foreground`: this process does what keepers do otherwise, for systemd
 * and for looking at.
 *
 * @module
 */
import { type Connected, type Environment, rollBack } from "./environment.ts";
import { InterruptedError } from "./errors.ts";
import type { Keeper } from "./keeper.ts";
import { retry } from "./reconnect.ts";

/**
 * Holds a tunnel until the signal is aborted, then takes it down.
 *
 * @param connected A tunnel that is up, or that was taken over.
 * @param env Where.
 * @param up Says that it is up, the first time; a failure takes it down.
 * @throws {InterruptedError} Where that was SIGINT; SIGTERM and SIGHUP are
 * how a service is stopped.
 */
export async function hold(
  connected: Connected,
  env: Environment,
  up: () => void,
): Promise<void> {
  const { journal, release } = connected;
  const { device, host } = journal.state;
  const { log, notify, signal } = env;
  const aborted = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => aborted.reject(signal.reason));
  if (signal.aborted) aborted.reject(signal.reason);
  aborted.promise.catch(() => {}); // raced below, or not at all
  const ready = (status: string) => notify({ status, event: "READY=1" });
  const problem = (why: string) =>
    notify({ status: `${device} reconnecting: ${why}` });
  const again = () => retry(journal, env, { foreground: true, problem });
  const connectedTo = `${device} connected to ${host}`;
  let wasUp = connected.keeper === undefined;
  try {
    let keeper: Keeper;
    if (connected.keeper === undefined) {
      // Ready all the same: what it is for, that nothing goes out in clear,
      // it does; and a manager that gives up would open the routes.
      await ready(`${device} reconnecting: it had died`);
      keeper = await again();
      up();
      await notify({ status: connectedTo });
    } else {
      keeper = connected.keeper;
      up();
      await ready(connectedTo);
    }
    wasUp = true;
    while (true) {
      show(keeper, env);
      await Promise.race([keeper.ended, aborted.promise]);
      await keeper.acknowledge();
      log.warn(`"${device}" lost its connection`);
      await problem("it lost its connection");
      keeper = await again();
      log.info(`"${device}" is connected again`);
      await notify({ status: connectedTo });
    }
  } catch (error) {
    await notify({ status: `${device} stopping`, event: "STOPPING=1" });
    const interrupted = error instanceof InterruptedError;
    if (wasUp && !interrupted) {
      // No way on is no reason to open: as when the keeper cannot go on.
      await release();
      log.warn(
        `"${device}" holds its routes closed; to open them: pvpn -S ${device}`,
      );
      throw error;
    }
    await rollBack(journal, env);
    await release({ tidy: true });
    if (!interrupted || error.message.endsWith("SIGINT")) throw error;
  }
}

/** Reads on what ssh says, or it would stand still when the pipe is full. */
async function show(keeper: Keeper, { log }: Environment): Promise<void> {
  for await (const line of keeper.stderr) log.debug(line);
}
