/**
 * Connect: from what was typed to a tunnel that is up.
 *
 * @module
 */
import { type Asked, isFor } from "./asked.ts";
import { formatRoute, type Prefix, type Route } from "./address.ts";
import {
  type Chooser,
  claim,
  type NewTunnel,
  pretend,
  recover,
} from "./claim.ts";
import { firstThatFits } from "./auto.ts";
import { type Candidate, candidates, carriesIpv6 } from "./candidate.ts";
import type { Runner } from "./command.ts";
import { type Connected, type Environment, rollBack } from "./environment.ts";
import { dnsState, planNames, surveyNames } from "./dns_plan.ts";
import type { DnsRequest } from "./dns_request.ts";
import {
  candidatePairs,
  formatPair,
  formatPair6,
  type PairRequest,
  randomPair6,
} from "./pair.ts";
import { resolveFirstHop } from "./peer.ts";
import { self } from "./process.ts";
import { AUTO } from "./registry.ts";
import type { RemotePart } from "./remote_script.ts";
import {
  checkRoutes,
  parseRoutingTable,
  type RoutingTable,
  SHOW_ROUTES,
} from "./routing_table.ts";
import type { SshConfig } from "./ssh.ts";
import { sshConfig } from "./ssh_config.ts";
import { type Ipv6Mode, STATE_VERSION } from "./state.ts";
import type { UpRequest } from "./up.ts";
import { findUser, type User } from "./user.ts";

/** What the user wants. */
export interface ConnectRequest {
  /** The word after `-t`: a tunnel type, or `auto`. */
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
  /**
   * MTU of both devices, in bytes; without it, the type's. With `auto`, that
   * is for what goes beyond the server, and the devices have the largest.
   */
  readonly mtu?: number | "auto";
  /** How many ssh processes carry it; one, without. */
  readonly parallel?: number;
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

/** What is found out before the first change, all at once. */
async function survey(
  { firstHop, routes, dns }: ConnectRequest,
  user: User | undefined,
  runner: Runner,
) {
  const [me, hop, names] = await Promise.all([
    self(runner, SHOW_ROUTES),
    firstHop === undefined
      ? undefined
      : resolveFirstHop(firstHop, user, runner),
    dns !== undefined || routes.includes("default")
      ? surveyNames(dns, runner)
      : undefined,
    import("./up.ts"), // loaded meanwhile, which takes 4 ms
  ]);
  return { me, hop, names, routing: parseRoutingTable(me.stdout) };
}
type Survey = Awaited<ReturnType<typeof survey>>;

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
  const { runner, log } = env;
  if (request.fallback) {
    log.warn(
      "while the tunnel is down, its traffic goes out in clear, as " +
        "--allow-fallback says",
    );
  }
  if (!runner.dry) log.step?.("looking at this machine");
  const user = await findUser(request.sshUser, env.caller, runner);
  // Beside the checks of the types, since ssh takes the longest of all.
  const config = sshConfig(request.host, request.sshArgs, user, runner);
  const seen = survey(request, user, runner);
  for (const asked of [config, seen]) asked.catch(() => {}); // who awaits is told
  try {
    return await connectAs(user, request, { config, seen }, env);
  } finally {
    await Promise.allSettled([config, seen]);
  }
}

async function connectAs(
  user: User | undefined,
  request: ConnectRequest,
  asked: { config: Promise<SshConfig>; seen: Promise<Survey> },
  env: Environment,
): Promise<Connected> {
  const { config } = asked;
  let { seen } = asked;
  const { runner, dir, log, signal } = env;
  const types = await candidates(request, user, env);
  const auto = request.type === AUTO;
  const unfit = auto ? undefined : types[0]?.unfit;
  if (unfit !== undefined) throw unfit;
  const askedFor = (
    { plugin, file, options, beyondMtu }: Candidate,
  ): Asked => ({
    version: STATE_VERSION,
    type: plugin.type,
    host: request.host,
    sshArgs: request.sshArgs,
    routes: request.routes.map(formatRoute),
    exclude: request.exclude.map(formatRoute),
    ipv6: request.ipv6,
    fallback: request.fallback,
    autoNets: request.autoNets,
    nat: request.nat,
    mtu: options.mtu,
    ...(beyondMtu === options.mtu ? {} : { beyondMtu }),
    ...(request.parallel === undefined ? {} : { parallel: request.parallel }),
    ...(request.dns && { dns: dnsState(request.dns) }),
    ...(user === undefined ? {} : { user }),
    ...(file === undefined ? {} : { plugin: file }),
  });
  if (!runner.dry) {
    const { dead, undid } = await recover(
      ...[dir, runner, log] as const,
      (state) => types.some((one) => isFor(state, askedFor(one), request)),
    );
    if (dead !== undefined) {
      const { adopt } = await import("./adopt.ts");
      return await adopt(dead, request.foreground, env);
    }
    if (undid) seen = survey(request, user, runner);
  }
  const { me, routing, hop, names: owners } = await seen;
  checkRoutes(request.routes, request.exclude, routing, log);
  const names = owners && planNames(request, owners, routing, log);
  const networks = request.routes.filter((route) => route !== "default");
  const choose: Chooser = (reserved) =>
    candidatePairs(request.pair, routing.taken, [...networks, ...reserved]);
  const attempt = (type: Candidate, parts: readonly RemotePart[]) => {
    signal.throwIfAborted();
    const tunnel: NewTunnel = {
      ...askedFor(type),
      ...(carriesIpv6(request, type.beyondMtu, routing.ipv6)
        ? { pair6: formatPair6(randomPair6()) }
        : {}),
      pair: formatPair(request.pair),
      phase: "connecting",
      owner: env.owner ?? me.id,
      reconnects: 0,
      ...(hop === undefined ? {} : { firstHop: hop }),
      ...(names === undefined ? {} : { names }),
    };
    return make(tunnel, routing, choose, env, config, {
      ...{ plugin: type.plugin, parts, aes: me.aes },
      batch: request.batch ?? false,
      after: request.foreground ? undefined : env.program,
    });
  };
  const { host } = request;
  return auto
    ? await firstThatFits(types, { host, log, dry: runner.dry }, attempt)
    : await attempt(types[0]!, []);
}

/**
 * Claims a device, and brings the tunnel up.
 *
 * @throws {PvpnError} Why not; then nothing of it is left, on either end.
 */
async function make(
  tunnel: NewTunnel,
  routing: RoutingTable,
  choose: Chooser,
  env: Environment,
  config: Promise<SshConfig>,
  request: Pick<UpRequest, "plugin" | "parts" | "aes" | "batch" | "after">,
): Promise<Connected> {
  const { runner, dir, log, signal } = env;
  const { device: prefix } = request.plugin;
  const wanted = [tunnel, prefix, routing, dir, choose] as const;
  const { journal, pairs, lock } = runner.dry
    ? { ...await pretend(...wanted), lock: undefined }
    : await claim(...wanted);
  const release = async (options?: { tidy?: boolean }) => {
    await lock?.release();
    if (options?.tidy) await dir.tidy();
  };
  try {
    const { bringUp } = await import("./up.ts");
    const keeper = await bringUp({
      ...request,
      ...{ journal, pairs, runner, log, signal, verbose: env.verbose },
      ...{ config: await config, resume: false, knownAddress: false },
    });
    await journal.update({
      phase: "up",
      owner: request.after === undefined ? tunnel.owner : undefined,
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
