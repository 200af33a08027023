/**
 * Looks at a tunnel's processes while its server sets its end up.
 *
 * @module
 */
import { type Address, parseAddress, type Route } from "./address.ts";
import { wantsNetworks } from "./auto_nets.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Keeper } from "./keeper.ts";
import { findPeer, resolveFirstHop } from "./peer.ts";
import { type ProcessId, treeOf } from "./process.ts";
import type { Server } from "./state.ts";
import type { UpRequest } from "./up.ts";

/**
 * Looks at the processes of the tunnel: writes down those that carry
 * it, which could outlive their keeper, and finds the real peer of its connection.
 */
export async function inspect(
  request: UpRequest,
  routes: readonly Route[],
  keeper: Keeper | undefined,
): Promise<Server | undefined> {
  const { journal, runner, log } = request;
  const { firstHop, host } = journal.state;
  const processes = keeper === undefined ? [] : await treeOf(runner, keeper.id);
  const [, ...carriers] = processes;
  await journal.record(
    ...carriers.map((id) => ({ kind: "process", ...id }) as const),
  );
  if (firstHop !== undefined) return { address: firstHop };
  const { dns } = journal.state;
  const any = routes.length > 0 || dns !== undefined ||
    wantsNetworks(journal.state);
  if (!any) return undefined;
  const server = await connectionOf(request, processes);
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

/** See {@linkcode TunnelContext.server}. */
export async function serverOf(
  request: UpRequest,
  keeper: Keeper | undefined,
): Promise<Address | undefined> {
  const { config, journal, runner } = request;
  if (config.proxied || journal.state.firstHop !== undefined) return undefined;
  const processes = keeper === undefined ? [] : await treeOf(runner, keeper.id);
  return parseAddress((await connectionOf(request, processes))?.address ?? "");
}

/** The peer of the connection that one of the processes has. */
async function connectionOf(
  { config, journal, runner }: UpRequest,
  processes: readonly ProcessId[],
): Promise<Server | undefined> {
  const { hostname, port, proxied } = config;
  if (runner.dry) { // what the name means now
    const { user } = journal.state;
    return { address: await resolveFirstHop(hostname, user, runner), port };
  }
  return await findPeer(processes, proxied ? undefined : port, runner);
}
