/**
 * Connect: from what was typed to a tunnel that is up.
 *
 * @module
 */
import { formatRoute, type Prefix, type Route } from "./address.ts";
import { claim, type NewTunnel, pretend, recover } from "./claim.ts";
import { missingProgram, type Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Journal, StateDir } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import type { Log } from "./log.ts";
import {
  candidatePairs,
  formatPair,
  formatPair6,
  type Pair,
  type PairRequest,
  randomPair6,
} from "./pair.ts";
import { resolveFirstHop } from "./peer.ts";
import { self } from "./process.ts";
import type { Registry } from "./registry.ts";
import {
  checkRoutes,
  parseRoutingTable,
  SHOW_ROUTES,
} from "./routing_table.ts";
import { configArgv, parseConfig, type SshConfig } from "./ssh.ts";
import { explainSshFailure } from "./ssh_failure.ts";
import { type Ipv6Mode, MIN_MTU_6, STATE_VERSION } from "./state.ts";
import { DEFAULT_MTU, type TunnelPlugin } from "./tunnel.ts";
import { bringUp } from "./up.ts";
import { asUser, type Caller, findUser, identity, type User } from "./user.ts";

/** What the user wants. */
export interface ConnectRequest {
  /** The tunnel type: the word after `-t`. */
  readonly type: string;
  /** SSH-HOST, as {@linkcode parseHost} gives it. */
  readonly host: string;
  /** The words of `SSH_ARGS`, as `parseSshArgs` gives them. */
  readonly sshArgs: readonly string[];
  /** What goes through the tunnel. */
  readonly routes: readonly Route[];
  /** What of that does not. */
  readonly exclude: readonly Prefix[];
  /** What becomes of IPv6 under `default`. */
  readonly ipv6: Ipv6Mode;
  /** Whether the routes open while the tunnel is down. */
  readonly fallback: boolean;
  /** The pair of addresses. */
  readonly pair: PairRequest;
  /** MTU of both devices, in bytes; without it, the type's. */
  readonly mtu?: number;
  /** The host name or address of the first SSH server, where it is not seen. */
  readonly firstHop?: string;
  /** Whom ssh runs as; without it, whoever called: {@linkcode findUser}. */
  readonly sshUser?: string;
  /** Whether this process stays and reconnects. */
  readonly foreground: boolean;
}

/** Where the work is done. */
export interface Environment {
  /** Runs commands. */
  readonly runner: Runner;
  /** Tells the user. */
  readonly log: Log;
  /** Whether what ssh says, and what the server runs, is shown. */
  readonly verbose: boolean;
  /** Where journals are. */
  readonly dir: StateDir;
  /** The tunnel types. */
  readonly registry: Registry;
  /** The pvpn binary, which keepers run to reconnect. */
  readonly program: string;
  /** Who typed sudo before it, if somebody did. */
  readonly caller?: Caller | undefined;
  /** Ends the work; what was changed is undone. */
  readonly signal: AbortSignal;
}

/** A tunnel that is up, and still this process's. */
export interface Connected {
  /** Its journal. */
  readonly journal: Journal;
  /** Its keeper; none in a dry run. */
  readonly keeper: Keeper | undefined;
  /** Lets go of the device's lock; `tidy` where nothing is left of it. */
  release(options?: { tidy?: boolean }): Promise<void>;
}

/** Asks ssh what it would do for a host. */
export async function sshConfig(
  host: string,
  sshArgs: readonly string[],
  user: User | undefined,
  runner: Runner,
): Promise<SshConfig> {
  const argv = asUser(user, configArgv({ host, args: sshArgs }));
  const output = await runner.query(argv, { anyStatus: true });
  if (output.status === 127) throw missingProgram("ssh"); // what env says
  if (output.status !== 0) {
    const lines = output.stderr.split(/\r?\n/);
    throw explainSshFailure(host, lines, output.status);
  }
  return parseConfig(output.stdout, host);
}

/** Refuses what cannot work, before anything is changed. */
async function requireChecks(
  plugin: TunnelPlugin,
  mtu: number,
  ipv6: boolean,
  user: User | undefined,
  runner: Runner,
): Promise<void> {
  const options = {
    ...{ device: "", mtu, ipv6, resume: false },
    ...identity(user),
  };
  for (const check of plugin.checks(options)) {
    if (await check.passes((argv, how) => runner.query(argv, how))) continue;
    throw new PvpnError(
      ExitCode.missingProgram,
      `"${plugin.type}" needs ${check.name}`,
      [check.hint],
    );
  }
}

/** Whether the tunnel is to carry IPv6, on a machine that has it or not. */
function carriesIpv6(
  { routes, ipv6, mtu }: ConnectRequest & { mtu: number },
  here: boolean,
): boolean {
  return mtu >= MIN_MTU_6 &&
    routes.some((route) =>
      route === "default" ? here && ipv6 === "tunnel" : route.family === 6
    );
}

/** What is found out before the first change, all at once. */
async function survey(
  request: ConnectRequest,
  user: User | undefined,
  { runner, log }: Environment,
) {
  const { host, sshArgs, firstHop, pair, routes } = request;
  const [me, config, hop] = await Promise.all([
    self(runner, SHOW_ROUTES),
    sshConfig(host, sshArgs, user, runner),
    firstHop === undefined
      ? undefined
      : resolveFirstHop(firstHop, user, runner),
  ]);
  const routing = parseRoutingTable(me.stdout);
  checkRoutes(routes, request.exclude, routing, log);
  const networks = routes.filter((route) => route !== "default");
  const pairs = candidatePairs(pair, routing.taken, networks);
  return { me, routing, config, hop, pairs };
}

/**
 * Connects, and leaves the tunnel to the keeper or, in the foreground, to the
 * caller.
 *
 * @throws {PvpnError} Why not; then nothing of it is left, on either end.
 */
export async function connect(
  request: ConnectRequest,
  env: Environment,
): Promise<Connected> {
  const { runner, dir, log, signal } = env;
  if (request.fallback) {
    log.warn(
      "while the tunnel is down, its traffic goes out in clear, as " +
        "--allow-fallback says",
    );
  }
  const { plugin, file } = await env.registry.find(request.type);
  const mtu = request.mtu ?? plugin.mtu ?? DEFAULT_MTU;
  const user = await findUser(request.sshUser, env.caller, runner);
  const wants6 = { ...request, mtu };
  await requireChecks(plugin, mtu, carriesIpv6(wants6, true), user, runner);
  if (!runner.dry) await recover(dir, runner, log);
  const { me, routing, config, hop, pairs } = await survey(
    request,
    user,
    env,
  );
  signal.throwIfAborted();
  const tunnel: NewTunnel = {
    version: STATE_VERSION,
    type: request.type,
    host: request.host,
    sshArgs: request.sshArgs,
    routes: request.routes.map(formatRoute),
    exclude: request.exclude.map(formatRoute),
    ipv6: request.ipv6,
    ...(carriesIpv6(wants6, routing.ipv6)
      ? { pair6: formatPair6(randomPair6()) }
      : {}),
    fallback: request.fallback,
    mtu,
    pair: formatPair(request.pair),
    phase: "connecting",
    owner: me.id,
    reconnects: 0,
    ...(hop === undefined ? {} : { firstHop: hop }),
    ...(user === undefined ? {} : { user }),
    ...(file === undefined ? {} : { plugin: file }),
  };
  const claimed = runner.dry
    ? {
      journal: await pretend(tunnel, plugin.device, routing, dir),
      lock: undefined,
    }
    : await claim(tunnel, plugin.device, routing, dir);
  const { journal, lock } = claimed;
  const release = async (options?: { tidy?: boolean }) => {
    await lock?.release();
    if (options?.tidy) await dir.tidy();
  };
  try {
    const keeper = await bringUp({
      ...{ journal, plugin, config, runner, log, signal },
      aes: me.aes,
      pairs: pairs as readonly Pair[],
      resume: false,
      knownAddress: false,
      batch: false,
      after: request.foreground ? undefined : env.program,
      verbose: env.verbose,
    });
    await journal.update({
      phase: "up",
      owner: request.foreground ? me.id : undefined,
      since: new Date().toISOString(),
    });
    return { journal, keeper, release };
  } catch (error) {
    await rollBack(journal, env);
    await release({ tidy: true });
    // A ^C ends what is being run as well, and looks like its failure.
    throw signal.aborted ? signal.reason : error;
  }
}

/** Undoes after a failure; a failure of the undo is told, not thrown. */
export async function rollBack(
  journal: Journal,
  { runner, log }: Environment,
): Promise<void> {
  try {
    await journal.close(runner);
  } catch (error) {
    if (!(error instanceof PvpnError)) throw error;
    log.error(error.message);
    for (const hint of error.hints) log.hint(hint);
  }
}
