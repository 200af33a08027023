/**
 * pvpn for other programs: they say what to connect, and hold the tunnel while
 * they run. Nothing here prints, asks, or ends the process.
 *
 * @module
 */
import { plugins } from "../plugins/mod.ts";
import { check as checkEnds, type CheckReport } from "./check.ts";
import { SystemRunner } from "./command.ts";
import {
  type CheckOptions,
  type ConnectOptions,
  parseOptions,
  type WorkOptions,
} from "./api_options.ts";
import { connect as connectTunnel } from "./connect.ts";
import { disconnect as disconnectTunnel, stopAll } from "./disconnect.ts";
import type { Environment } from "./environment.ts";
import { ExitCode, InterruptedError, PvpnError } from "./errors.ts";
import { hold } from "./foreground.ts";
import { list as listTunnels, type TunnelInfo } from "./list.ts";
import { silentLog } from "./log.ts";
import { Registry } from "./registry.ts";
import { parseHost } from "./ssh.ts";
import { checkSshArgs } from "./ssh_args.ts";
import { StandIn } from "./stand_in.ts";
import { StateDir } from "./state_dir.ts";
import type { TunnelPlugin } from "./tunnel.ts";
import { parseUserName } from "./user.ts";

/**
 * Tells what is there and what is missing, on this machine and, where one is
 * named, on a server; changes nothing.
 *
 * @param host SSH-HOST.
 * @param options How; without a type, all types are looked at.
 * @throws {PvpnError} Where there is no such type or user. Why a login failed
 * is in the report.
 */
export async function check(
  host?: string,
  options: CheckOptions = {},
): Promise<CheckReport> {
  const { signal = new AbortController().signal, type, sshUser } = options;
  signal.throwIfAborted();
  return await checkEnds({
    ...(host === undefined ? {} : { host: parseHost(host) }),
    ...(type === undefined ? {} : { type }),
    ...(sshUser === undefined ? {} : { sshUser: parseUserName(sshUser) }),
    sshArgs: checkSshArgs([...options.sshArgs ?? []]),
    batch: options.interactive !== true,
  }, environment(options, signal, options.plugins));
}

function requireRoot(): void {
  if (Deno.uid() === 0) return;
  throw new PvpnError(
    ExitCode.notRoot,
    "only root can change this machine's network",
  );
}

function environment(
  { log = silentLog }: WorkOptions,
  signal: AbortSignal,
  types: readonly TunnelPlugin[] = [],
): Environment {
  const registry = new Registry([...plugins, ...types]);
  return {
    ...{ log, signal, runner: new SystemRunner(log), verbose: false },
    ...{ dir: new StateDir(), registry: () => Promise.resolve(registry) },
    // No keeper reconnects by itself: this process does.
    ...{ program: "", notify: () => Promise.resolve() },
  };
}

/** A tunnel that this program holds. */
export class Connection implements AsyncDisposable {
  /** This machine's device. */
  readonly device: string;
  /**
   * Resolves when the tunnel is no more: it was disconnected, from here or
   * with `pvpn -S`. Rejects where reconnecting has failed for good; then its
   * routes are closed until {@linkcode disconnect} opens them.
   */
  readonly closed: Promise<void>;
  readonly #end: () => void;

  /** See {@linkcode connect}, which makes them. */
  constructor(device: string, closed: Promise<void>, end: () => void) {
    this.device = device;
    this.closed = closed;
    this.#end = end;
  }

  /** Takes the tunnel down, and waits until nothing is left of it. */
  async disconnect(): Promise<void> {
    this.#end();
    await this.closed;
  }

  /** See {@linkcode Connection.disconnect}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }
}

/**
 * Connects; resolves when packets flow. While this program runs, it keeps the
 * tunnel up, and reconnects when the connection is lost. If it ends without
 * disconnecting, the tunnel is dead, and holds its routes closed until
 * `pvpn -S` or {@linkcode disconnect}.
 *
 * Needs root, and of Deno's permissions: run, env, sys (uid), to read
 * `/sys/class/net` and to read and write `/run/pvpn`.
 *
 * @param host SSH-HOST: `[USER@]HOST`, or a name in ssh_config(5).
 * @param options How; where this is left out, only the server is reached.
 * @throws {PvpnError} Why it is not connected; then nothing is changed. Where
 * the signal was aborted, its reason.
 */
export async function connect(
  host: string,
  options: ConnectOptions = {},
): Promise<Connection> {
  const { signal } = options;
  signal?.throwIfAborted();
  const request = parseOptions(host, options);
  requireRoot();
  const ending = new AbortController();
  const end = () => ending.abort(new InterruptedError("this program"));
  const env = environment(options, ending.signal, options.plugins);
  const standIn = await StandIn.start(env.runner);
  standIn.ended.then(() => ending.abort(new InterruptedError("pvpn -S")));
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  // What a tunnel does does not keep Deno running by itself.
  const awake = setInterval(() => {}, 2 ** 30);
  const release = async () => {
    clearInterval(awake);
    signal?.removeEventListener("abort", end);
    await standIn.release();
  };
  try {
    const connected = await connectTunnel(request, {
      ...env,
      owner: standIn.id,
    });
    const up = Promise.withResolvers<void>();
    const closed = hold(connected, { ...env, owner: standIn.id }, up.resolve)
      .finally(release);
    closed.catch(() => {}); // whoever wants to know awaits it
    await Promise.race([up.promise, closed]);
    ending.signal.throwIfAborted();
    return new Connection(connected.journal.state.device, closed, end);
  } catch (error) {
    await release();
    throw signal?.aborted ? signal.reason : error;
  }
}

/**
 * Lists the tunnels, whoever has made them.
 *
 * @throws {PvpnError} Where what is written down of them cannot be read.
 */
export async function list(
  options: Pick<WorkOptions, "log"> = {},
): Promise<readonly TunnelInfo[]> {
  requireRoot();
  const { dir, runner } = environment(options, new AbortController().signal);
  return (await listTunnels(dir, runner)).list.tunnels;
}

/**
 * Takes tunnels down, whoever has made them.
 *
 * @param device This machine's device; all tunnels without.
 * @param options How.
 * @returns The devices of those that were taken down.
 * @throws {PvpnError} Where there is no such tunnel, or not all of one could
 * be undone.
 */
export async function disconnect(
  device?: string,
  options: WorkOptions = {},
): Promise<string[]> {
  requireRoot();
  const { signal = new AbortController().signal } = options;
  signal.throwIfAborted();
  const env = environment(options, signal);
  if (device !== undefined) {
    await disconnectTunnel(device, env);
    return [device];
  }
  const stopped: string[] = [];
  await stopAll(env, (name) => stopped.push(name));
  return stopped;
}
