/**
 * The real peer of a tunnel's ssh: the address that packets of its connection
 * go to. Not what a name resolves to now, and with a ProxyJump or a
 * ProxyCommand not the server at all, but what its process has open.
 *
 * @module
 */
import { formatAddress, parseAddress } from "./address.ts";
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError, UsageError } from "./errors.ts";
import type { ProcessId } from "./process.ts";
import { parseSockets, socketOf } from "./sockets.ts";
import type { Server } from "./state.ts";
import { asUser, type User } from "./user.ts";

/**
 * Finds the peer of the TCP connection that one of some processes has.
 *
 * @param processes The keeper and all below it, parents first.
 * @param port The port that ssh connects to; without it, where a proxy
 * connects, any.
 * @returns `undefined` where none of them has one.
 */
export async function findPeer(
  processes: readonly ProcessId[],
  port: number | undefined,
  runner: Runner,
): Promise<Server | undefined> {
  const argv = ["ss", "-Htnp", "state", "established"];
  const { stdout } = await runner.query(argv);
  return peerOf(stdout, processes.map(({ pid }) => pid), port);
}

/** The peer of the first connection that one of `pids` has. */
export function peerOf(
  text: string,
  pids: readonly number[],
  port?: number,
): Server | undefined {
  return socketOf(parseSockets(text), pids, port)?.peer;
}

/**
 * The address that `-s HOST` names, where the connection's own process does
 * not have it: behind a reverse tunnel, or another program's proxy.
 *
 * @throws {UsageError} Where it has none.
 */
export async function resolveFirstHop(
  text: string,
  user: User | undefined,
  runner: Runner,
): Promise<string> {
  const address = parseAddress(text);
  if (address !== undefined) return formatAddress(address);
  if (!/^[\w][\w.-]*$/.test(text)) {
    throw new UsageError(
      `"${text}" is not a host`,
      "-s takes an address or a host name",
    );
  }
  // Resolvers are the network: not asked as root where ssh is not root.
  const argv = asUser(user, ["getent", "ahosts", text]);
  const { stdout } = await runner.query(argv, { anyStatus: true });
  const found = parseAddress(stdout.split(/\s/)[0] ?? "");
  if (found === undefined) {
    throw new PvpnError(ExitCode.ssh, `the host "${text}" is not known`, [
      "name the first SSH server with its address: -s 192.0.2.1",
    ]);
  }
  return formatAddress(found);
}
