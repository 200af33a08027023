/**
 * Brings a tunnel up, the first time or again: the plugin's devices, then
 * addresses and routes on this machine.
 *
 * @module
 */
import {
  formatAddress,
  parseAddress,
  parseRoute,
  type Route,
} from "./address.ts";
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import { addLine, applyIp, IpError, type IpLine } from "./link.ts";
import type { Log } from "./log.ts";
import { formatPair, type Pair } from "./pair.ts";
import { findPeer, resolveFirstHop } from "./peer.ts";
import { treeOf } from "./process.ts";
import {
  newToken,
  remoteCommand,
  type RemoteRequest,
  type RemoteScript,
} from "./remote.ts";
import { coversServer, nexthopTo, planRoutes } from "./route.ts";
import { type Carrier, carry } from "./session.ts";
import { sessionArgv, type SshConfig } from "./ssh.ts";
import type { Server } from "./state.ts";
import type { Tunnel, TunnelContext, TunnelPlugin } from "./tunnel.ts";
import type { IpStep, UndoStep } from "./undo.ts";

/** What bringing a tunnel up depends on, beside what its journal says. */
export interface UpRequest {
  /** The tunnel's journal; hold the device's lock. */
  readonly journal: Journal;
  /** The tunnel's type. */
  readonly plugin: TunnelPlugin;
  /** What `ssh -G` says. */
  readonly config: SshConfig;
  /** The pairs that the server may choose from. */
  readonly pairs: readonly Pair[];
  /** Whether it was up before. */
  readonly resume: boolean;
  /** Whether ssh is told the address that it had, not to resolve a name. */
  readonly knownAddress: boolean;
  /** Whether the CPU has AES instructions. */
  readonly aes: boolean;
  /** Whether ssh may not ask on a terminal. */
  readonly batch: boolean;
  /** The pvpn binary that is to reconnect; none in the foreground. */
  readonly after: string | undefined;
  /** Whether what ssh says, and what the server runs, is shown. */
  readonly verbose: boolean;
  /** Runs commands. */
  readonly runner: Runner;
  /** Tells the user. */
  readonly log: Log;
  /** Ends the set-up. */
  readonly signal: AbortSignal;
}

/**
 * Brings the tunnel up.
 *
 * @returns Its keeper, or `undefined` in a dry run.
 * @throws {PvpnError} Why it is not up; undo what the journal has recorded.
 */
export async function bringUp(request: UpRequest): Promise<Keeper | undefined> {
  const work = new Work();
  try {
    return await bringUpWith(request, work);
  } catch (error) {
    // What goes on beside this would change something after the undo.
    await work.ended();
    throw error;
  }
}

/** What goes on at the same time, for a failure to wait for. */
class Work {
  readonly #started: Promise<unknown>[] = [];

  /** Adds a part; its failure is its caller's to see. */
  add<T>(part: Promise<T>): Promise<T> {
    this.#started.push(part);
    part.catch(() => {});
    return part;
  }

  /** Resolves when all parts have ended, in whatever way. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#started);
  }
}

async function bringUpWith(
  request: UpRequest,
  work: Work,
): Promise<Keeper | undefined> {
  const { journal, plugin, resume, runner, signal } = request;
  const { device, mtu } = journal.state;
  const routes = journal.state.routes.map(parseRoute);
  let carrier: Carrier | undefined;
  const servers = new Map<Keeper | undefined, Promise<Server | undefined>>();
  const context = pluginContext(request, work, {
    started: (started) => carrier = started,
    authenticated(keeper) {
      // While the server sets its end up.
      servers.set(keeper, work.add(inspect(request, routes, keeper)));
    },
  });
  const tunnel = await plugin.open(context, { device, mtu, resume });
  if (carrier === undefined && !runner.dry) {
    throw new TypeError(`Cannot use "${plugin.type}": it did not carry()`);
  }
  signal.throwIfAborted();
  const keeper = (carrier as Carrier | undefined)?.keeper;
  const server = servers.get(keeper) ?? inspect(request, routes, keeper);
  await configure(request, tunnel, routes, await server);
  signal.throwIfAborted();
  return keeper;
}

interface Events {
  started(carrier: Carrier): void;
  authenticated(keeper: Keeper): void;
}

function pluginContext(
  request: UpRequest,
  work: Work,
  events: Events,
): TunnelContext {
  const { journal, config, aes, batch, runner, log, signal } = request;
  const { host, sshArgs, mtu, device } = journal.state;
  let sent: { remote: RemoteRequest; script: RemoteScript; command: string };
  return {
    signal,
    log,
    pairs: request.pairs,
    query: (argv, options) => runner.query(argv, options),
    change: (undo, argv, options) =>
      work.add((async () => {
        await journal.record(...undo);
        return await runner.change(argv, options);
      })()),
    ip: (undo, lines) => work.add(makeDevice(request, undo, lines)),
    ssh(options, script, pairs = request.pairs) {
      const { resume, verbose: trace } = request;
      const remote = { token: newToken(), mtu, pairs, resume, trace };
      const command = remoteCommand(script, remote);
      sent = { remote, script, command };
      return sessionArgv({ host, args: sshArgs }, {
        ...{ config, aes, batch, options, command },
        ...knownAddress(request),
      });
    },
    async carry(argv, options = {}) {
      signal.throwIfAborted();
      const { remote, script, command } = sent;
      if (runner.dry) {
        await options.prepared;
        runner.start(argv);
        return { device: "(chosen there)", pair: remote.pairs[0]! };
      }
      const carrier = await carry(argv, {
        ...{ runner, journal, log, signal, host, device, command, script },
        ...options,
        request: remote,
        verbose: request.verbose,
        authenticated: events.authenticated,
        ...(request.after === undefined ? {} : { after: request.after }),
      });
      events.started(carrier);
      return carrier.facts;
    },
  };
}

/** See {@linkcode TunnelContext.ip}. */
async function makeDevice(
  { journal, runner }: UpRequest,
  undo: readonly UndoStep[],
  lines: readonly IpLine[],
): Promise<void> {
  await journal.record(...undo);
  try {
    await applyIp(4, lines, runner);
  } catch (error) {
    // The first line makes what is undone: without it, there is nothing.
    if (error instanceof IpError && error.missed.includes(lines[0]!)) {
      await journal.update({
        undo: journal.state.undo.filter((step) => !undo.includes(step)),
      });
    }
    throw error;
  }
}

/**
 * Where resolvers may be out of reach while the tunnel is down, ssh is told
 * the address that it had.
 */
function knownAddress(request: UpRequest): { address?: string } {
  const { server, routes, firstHop } = request.journal.state;
  const closed = routes.includes("default");
  return request.knownAddress && closed && server !== undefined &&
      firstHop === undefined
    ? { address: server.address }
    : {};
}

/**
 * Looks at the processes of the tunnel: writes the carrier down, which could
 * outlive its keeper, and finds the real peer of its connection.
 */
async function inspect(
  request: UpRequest,
  routes: readonly Route[],
  keeper: Keeper | undefined,
): Promise<Server | undefined> {
  const { journal, config, runner, log } = request;
  const { firstHop, host } = journal.state;
  const processes = keeper === undefined ? [] : await treeOf(runner, keeper.id);
  const [, carrier] = processes;
  if (carrier !== undefined) {
    await journal.record({ kind: "process", ...carrier });
  }
  if (firstHop !== undefined) return { address: firstHop };
  if (routes.length === 0) return undefined;
  if (keeper === undefined) { // a dry run: what the name means now
    const address = await resolveFirstHop(config.hostname, runner);
    return { address, port: config.port };
  }
  const server = await findPeer(processes, runner);
  if (server === undefined) {
    throw new PvpnError(
      ExitCode.network,
      `cannot tell which address the connection to "${host}" goes to, and ` +
        `it must not be routed into itself`,
      ["name the first SSH server, or the proxy, with -s HOST"],
    );
  }
  const address = parseAddress(server.address);
  if (address?.family === 4 && address.value >> 24n === 127n) {
    log.warn(
      `the connection to "${host}" goes to ${server.address}: if another ` +
        `ssh carries it on, name that one's server with -s HOST`,
    );
  }
  return server;
}

const same = (a: UndoStep) => (b: UndoStep) =>
  JSON.stringify(a) === JSON.stringify(b);

async function configure(
  request: UpRequest,
  { remote: { pair }, negotiated = false }: Tunnel,
  routes: readonly Route[],
  server: Server | undefined,
): Promise<void> {
  const { journal, resume, runner } = request;
  const { device, slot, undo } = journal.state;
  const nexthop = server !== undefined && coversServer(routes, server).byNetwork
    ? await nexthopTo(server, device, runner)
    : undefined;
  const steps = planRoutes({ device, slot, pair, routes, server, nexthop });
  const fresh = steps.filter((step) => !undo.some(same(step)));
  await journal.update({
    pair: formatPair(pair),
    server,
    undo: [...undo, ...fresh],
  });
  const planned = steps.map((step) => ({ step, line: addLine(step) }));
  const lines = (family: 4 | 6) =>
    planned.filter(({ step }) => step.family === family)
      .map(({ line }) => line);
  const address = {
    words: [
      ...["address", "add", formatAddress(pair.local)],
      ...["peer", formatAddress(pair.peer), "dev", device],
    ],
  };
  const keep = { keep: resume };
  // What closes IPv6 first: it has no hole that another step must make.
  const batches = [
    { family: 6, lines: lines(6) },
    { family: 4, lines: [...negotiated ? [] : [address], ...lines(4)] },
  ] as const;
  let done = 0;
  try {
    for (const batch of batches) {
      await applyIp(batch.family, batch.lines, runner, keep);
      done++;
    }
  } catch (error) {
    if (!(error instanceof IpError)) throw error;
    // What was not added is somebody else's, if it is there: not to be undone.
    const later = batches.slice(done + 1).flatMap((batch) => batch.lines);
    const missed = new Set([...error.missed, ...later]);
    const ours = planned.filter(({ line }) => !missed.has(line));
    await journal.update({
      undo: journal.state.undo.filter((step) =>
        !fresh.some(same(step)) || ours.some((one) => same(step)(one.step))
      ),
    });
    throw error;
  }
  if (resume) await dropStale(journal, steps, runner);
}

/** Takes back the pin of a server that has another address now. */
async function dropStale(
  journal: Journal,
  steps: readonly IpStep[],
  runner: Runner,
): Promise<void> {
  const stale = (step: UndoStep) =>
    step.kind === "ip" && step.object !== "link" && !steps.some(same(step));
  if (journal.state.undo.some(stale)) await journal.undo(runner, stale);
}
