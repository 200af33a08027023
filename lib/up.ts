/**
 * Brings a tunnel up, the first time or again: the plugin's devices, then
 * addresses and routes on this machine.
 *
 * @module
 */
import { parseRoute } from "./address.ts";
import { addNetworks, NETWORKS, wantsNetworks } from "./auto_nets.ts";
import type { Runner } from "./command.ts";
import { configure, keepOutside } from "./configure.ts";
import { chooseResolvers, resolverParts, withResolvers } from "./dns.ts";
import { guardNames, setResolvers } from "./dns_set.ts";
import { warnIfNotForwarding } from "./forwarding.ts";
import { inspect, serverOf } from "./inspect.ts";
import type { Journal } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import { cannotRepeat, type Login, type Once, warnOfOnce } from "./login.ts";
import { makeDevice } from "./make_device.ts";
import type { Log } from "./log.ts";
import { type Pair, parsePair6 } from "./pair.ts";
import { quoteAll } from "./quote.ts";
import { NAT } from "./remote_nat.ts";
import {
  newToken,
  remoteCommand,
  type RemotePart,
  type RemoteRequest,
  type RemoteScript,
} from "./remote_script.ts";
import { type Carrier, carry } from "./session.ts";
import { sessionArgv, type SshConfig } from "./ssh.ts";
import { routesOf, type Server } from "./state.ts";
import type { Flow, TunnelContext, TunnelPlugin } from "./tunnel.ts";
import { asUser, identity, loginHints } from "./user.ts";

/** What bringing a tunnel up depends on, beside what its journal says. */
export interface UpRequest {
  /** The tunnel's journal; hold the device's lock. */
  readonly journal: Journal;
  /** The tunnel's type. */
  readonly plugin: TunnelPlugin;
  /** Parts of the server's script beside those that the state asks for. */
  readonly parts?: readonly RemotePart[];
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
  } finally {
    request.log.step?.();
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
  const { journal, plugin, resume, runner, signal, batch } = request;
  const { device, host, mtu, parallel, user } = journal.state;
  const ipv6 = journal.state.pair6 !== undefined;
  const routes = routesOf(journal.state).map(parseRoute);
  let carrier: Carrier | undefined;
  const servers = new Map<Keeper | undefined, Promise<Server | undefined>>();
  const flows: Flow[] = [];
  let once: Promise<Once | undefined> | undefined;
  const context = pluginContext(request, work, {
    started: (started) => carrier = started,
    keeper: () => carrier?.keeper,
    async outside(flow) {
      flows.push(flow);
      await keepOutside(request, routes, flow);
    },
    authenticated(keeper, login) {
      // While the server sets its end up.
      servers.set(keeper, work.add(inspect(request, routes, keeper)));
      if (batch) return;
      once = work.add(cannotRepeat(login, host, user, runner));
    },
  });
  const tunnel = await plugin.open(context, {
    ...{ device, mtu, ipv6, resume },
    ...(parallel === undefined ? {} : { parallel }),
    ...identity(user),
  });
  if (carrier === undefined && !runner.dry) {
    throw new TypeError(`Cannot use "${plugin.type}": it did not carry()`);
  }
  signal.throwIfAborted();
  const keeper = (carrier as Carrier | undefined)?.keeper;
  const server =
    await (servers.get(keeper) ?? inspect(request, routes, keeper));
  const resolvers = chooseResolvers(request, tunnel.remote);
  request.log.step?.("setting up this end");
  await guardNames(request);
  const named = wantsNetworks(journal.state)
    ? await addNetworks(request, tunnel.remote, server)
    : routes;
  const all = withResolvers(named, resolvers, journal.state);
  if (!resume) warnIfNotForwarding(all, tunnel.remote, server, request.log);
  await configure(request, tunnel, all, server, flows);
  if (resolvers !== undefined) await setResolvers(request, resolvers);
  const typed = await once;
  if (typed !== undefined) warnOfOnce(typed, request.log);
  signal.throwIfAborted();
  return keeper;
}

interface Events {
  started(carrier: Carrier): void;
  authenticated(keeper: Keeper, login: Login): void;
  keeper(): Keeper | undefined;
  outside(flow: Flow): Promise<void>;
}

function pluginContext(
  request: UpRequest,
  work: Work,
  events: Events,
): TunnelContext {
  const { journal, config, aes, batch, runner, log, signal } = request;
  const { host, sshArgs, mtu, device, user } = journal.state;
  const pair6 = parsePair6(journal.state.pair6 ?? "");
  let sent: { remote: RemoteRequest; script: RemoteScript; command: string };
  return {
    signal,
    log,
    pairs: request.pairs,
    pair6,
    record: (...undo) => work.add(journal.record(...undo)),
    query: (argv, options) => runner.query(argv, options),
    change: (undo, argv, options) =>
      work.add((async () => {
        await journal.record(...undo);
        return await runner.change(argv, options);
      })()),
    ip: (undo, lines) =>
      work.add(makeDevice(
        request,
        undo,
        lines.map((line) =>
          typeof line === "string" ? { words: line.split(" ") } : line
        ),
      )),
    ssh(options, script, pairs = request.pairs) {
      const { resume, verbose: trace } = request;
      const parts = [
        ...request.parts ?? [],
        ...resolverParts(journal.state),
        ...journal.state.nat ? [NAT] : [],
        ...wantsNetworks(journal.state) ? [NETWORKS] : [],
      ];
      const remote: RemoteRequest = {
        ...{ token: newToken(), mtu, pairs, pair6, resume, trace, parts },
      };
      const command = remoteCommand(script, remote);
      sent = { remote, script, command };
      const argv = sessionArgv({ host, args: sshArgs }, {
        ...{ config, aes, batch, options, command },
        ...knownAddress(request),
      });
      return asUser(user, argv);
    },
    beside(argv, address) {
      const remote = { config, aes, batch: true, beside: true, options: [] };
      const target = { host, args: sshArgs };
      const command = `exec ${quoteAll(argv)}`;
      const seen = journal.state.firstHop === undefined;
      return asUser(
        user,
        sessionArgv(target, {
          ...{ ...remote, command },
          ...(seen ? { address } : {}),
        }),
      );
    },
    async carry(argv, options = {}) {
      signal.throwIfAborted();
      const { remote, script, command } = sent;
      if (runner.dry) {
        await options.prepared;
        runner.start(argv);
        const keys = Object.keys(script.reports ?? {});
        return {
          device: "(chosen there)",
          pair: remote.pairs[0]!,
          ipv6: remote.pair6 === undefined ? "none" : "way",
          told: Object.fromEntries(keys.map((key) => [key, `(its ${key})`])),
          ...{ networks: [], forwarding: {} },
        };
      }
      let told: Promise<void> | undefined;
      const carrier = await carry(argv, {
        ...{ runner, journal, log, signal, host, device, command, script },
        ...options,
        request: remote,
        verbose: request.verbose,
        loginHints: loginHints(user),
        ...(config.proxied ? {} : { port: config.port }),
        authenticated: events.authenticated,
        found(keeper) {
          const { tell } = options;
          if (tell === undefined) return;
          told = work.add((async () => {
            const server = await serverOf(request, keeper)
              .catch(() => undefined); // inspect() says why
            await keeper.tell(tell(server));
          })());
        },
        ...(request.after === undefined ? {} : { after: request.after }),
      });
      events.started(carrier);
      await told; // nobody could, once the keeper is left alone
      return carrier.facts;
    },
    server: () => work.add(serverOf(request, events.keeper())),
    outside: (flow) => work.add(events.outside(flow)),
  };
}

/**
 * Where resolvers may be out of reach while the tunnel is down, ssh is told
 * the address that it had.
 */
function knownAddress(request: UpRequest): { address?: string } {
  const { server, routes, firstHop, dns } = request.journal.state;
  const closed = routes.includes("default") || dns !== undefined;
  return request.knownAddress && closed && server !== undefined &&
      firstHop === undefined
    ? { address: server.address }
    : {};
}
