/**
 * Connect: from what was typed to a tunnel that is up.
 *
 * @module
 */
import { adopt, type Asked, isFor } from "./adopt.ts";
import { formatRoute, type Prefix, type Route } from "./address.ts";
import { claim, type NewTunnel, pretend, recover } from "./claim.ts";
import type { Runner } from "./command.ts";
import { type Connected, type Environment, rollBack } from "./environment.ts";
import { dnsState, planNames, surveyNames } from "./dns_plan.ts";
import type { DnsRequest } from "./dns_request.ts";
import { ExitCode, PvpnError } from "./errors.ts";
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
import {
  checkRoutes,
  parseRoutingTable,
  SHOW_ROUTES,
} from "./routing_table.ts";
import { sshConfig } from "./ssh_config.ts";
import { type Ipv6Mode, MIN_MTU_6, STATE_VERSION } from "./state.ts";
import { DEFAULT_MTU, type TunnelPlugin } from "./tunnel.ts";
import { bringUp } from "./up.ts";
import { findUser, identity, type User } from "./user.ts";

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
  /** Whether the networks that the server reaches go through it as well. */
  readonly autoNets: boolean;
  /** Whether the server forwards and masquerades for it. */
  readonly nat: boolean;
  /** The pair of addresses. */
  readonly pair: PairRequest;
  /** MTU of both devices, in bytes; without it, the type's. */
  readonly mtu?: number;
  /** What is done for names; without it, nothing. */
  readonly dns?: DnsRequest;
  /** The host name or address of the first SSH server, where it is not seen. */
  readonly firstHop?: string;
  /** Whom ssh runs as; without it, whoever called: {@linkcode findUser}. */
  readonly sshUser?: string;
  /** Whether this process stays and reconnects. */
  readonly foreground: boolean;
  /** Whether ssh may not ask on a terminal. */
  readonly batch?: boolean;
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
    if (
      check.late || await check.passes((argv, how) => runner.query(argv, how))
    ) continue;
    throw new PvpnError(
      ExitCode.missingProgram,
      `"${plugin.type}" needs ${check.name}`,
      [check.hint],
    );
  }
}

/** Whether the tunnel is to carry IPv6, on a machine that has it or not. */
function carriesIpv6(
  { routes, autoNets, ipv6, mtu }: ConnectRequest & { mtu: number },
  here: boolean,
): boolean {
  const wanted = here && ipv6 === "tunnel";
  return mtu >= MIN_MTU_6 && (autoNets && wanted ||
    routes.some((route) => route === "default" ? wanted : route.family === 6));
}

/** What is found out before the first change, all at once. */
async function survey(
  request: ConnectRequest,
  user: User | undefined,
  { runner, log }: Environment,
) {
  const { host, sshArgs, firstHop, pair, routes, dns } = request;
  const [me, config, hop, names] = await Promise.all([
    self(runner, SHOW_ROUTES),
    sshConfig(host, sshArgs, user, runner),
    firstHop === undefined
      ? undefined
      : resolveFirstHop(firstHop, user, runner),
    dns !== undefined || routes.includes("default")
      ? surveyNames(dns, runner)
      : undefined,
  ]);
  const routing = parseRoutingTable(me.stdout);
  checkRoutes(routes, request.exclude, routing, log);
  const networks = routes.filter((route) => route !== "default");
  const pairs = candidatePairs(pair, routing.taken, networks);
  return { me, routing, config, hop, pairs, names };
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
  if (!runner.dry) log.step?.("looking at this machine");
  const { plugin, file } = await env.registry.find(request.type);
  const mtu = request.mtu ?? plugin.mtu ?? DEFAULT_MTU;
  const user = await findUser(request.sshUser, env.caller, runner);
  const wants6 = { ...request, mtu };
  await requireChecks(plugin, mtu, carriesIpv6(wants6, true), user, runner);
  const asked: Asked = {
    version: STATE_VERSION,
    type: request.type,
    host: request.host,
    sshArgs: request.sshArgs,
    routes: request.routes.map(formatRoute),
    exclude: request.exclude.map(formatRoute),
    ipv6: request.ipv6,
    fallback: request.fallback,
    autoNets: request.autoNets,
    nat: request.nat,
    mtu,
    ...(request.dns && { dns: dnsState(request.dns) }),
    ...(user === undefined ? {} : { user }),
    ...(file === undefined ? {} : { plugin: file }),
  };
  if (!runner.dry) {
    const dead = await recover(
      ...[dir, runner, log] as const,
      (state) => isFor(state, asked, request),
    );
    if (dead !== undefined) return await adopt(dead, request.foreground, env);
  }
  const found = await survey(request, user, env);
  const { me, routing, config, hop, pairs } = found;
  const names = found.names && planNames(request, found.names, routing, log);
  signal.throwIfAborted();
  const tunnel: NewTunnel = {
    ...asked,
    ...(carriesIpv6(wants6, routing.ipv6)
      ? { pair6: formatPair6(randomPair6()) }
      : {}),
    pair: formatPair(request.pair),
    phase: "connecting",
    owner: env.owner ?? me.id,
    reconnects: 0,
    ...(hop === undefined ? {} : { firstHop: hop }),
    ...(names === undefined ? {} : { names }),
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
      batch: request.batch ?? false,
      after: request.foreground ? undefined : env.program,
      verbose: env.verbose,
    });
    await journal.update({
      phase: "up",
      owner: request.foreground ? tunnel.owner : undefined,
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
