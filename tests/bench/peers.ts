/** The ways to the far end that are compared: bash scripts. */
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { ECHO_PORT } from "../lab/servers.ts";
import { measure, NETWORK, progress, readFirst } from "./measure.ts";

/** One way to the far end. */
export interface Peer {
  /** Its name in tables; Markdown. */
  readonly name: string;
  /** Where the far end is, this way. */
  readonly address: string;
  /** Connects, and goes on as soon as that is said to have worked. */
  readonly connect: string;
  /** Stops it, as its manual says. */
  readonly stop: string;
}

/**
 * Beside all tunnels. The lab's server forwards no IPv4 from the client's cable,
 * but all of IPv6.
 */
export const RAW: Peer = {
  name: "no tunnel",
  address: ADDRESS.inet6,
  connect: ":",
  stop: ":",
};

/**
 * As good as a script around `ssh -w` can be: one login, the client's end made
 * before it, and no command more than it takes.
 */
export const SCRIPT: Peer = {
  name: "script, `ssh -w`",
  address: ADDRESS.inet,
  connect: `
    ip tuntap add dev tun9 mode tun
    printf '%s\\n' 'addr add 10.66.0.1 peer 10.66.0.2 dev tun9' \
      'link set tun9 up' 'route add ${NETWORK} via 10.66.0.2' | ip -batch -
    exec 4< <(exec ssh -T -oExitOnForwardFailure=yes -w 9:any root@server '
      ip addr add 10.66.0.2 peer 10.66.0.1 dev $SSH_TUNNEL
      ip link set $SSH_TUNNEL up; echo ready; cat >/dev/null' 2>/dev/null)
    echo $! >/tmp/bench.script; read -r -u 4 _`,
  stop: "kill $(</tmp/bench.script); ip link del tun9",
};

/** Debian's, with the method that it chooses by itself. */
export const SSHUTTLE: Peer = {
  name: "sshuttle",
  address: ADDRESS.inet,
  // It is a daemon once ssh is connected; its firewall is a little later.
  connect: `
    sshuttle -D --pidfile=/tmp/bench.sshuttle -r root@server ${NETWORK} \
      >/dev/null 2>&1
    exec 5<> <(:)
    until { : >/dev/tcp/${ADDRESS.inet}/${ECHO_PORT}; } 2>/dev/null; do
      read -t 0.002 -u 5; done`,
  stop: "kill $(</tmp/bench.sshuttle)",
};

/**
 * One of pvpn's own types; to the far end's network unless told.
 *
 * @param type What is typed behind `-t`, with other options behind it.
 */
export function own(type: string, network = NETWORK): Peer {
  return {
    name: `pvpn \`-t ${type}\``,
    address: ADDRESS.inet,
    connect: `exec 4< <(exec ${pvpnBinary()} -t ${type} root@server ${network})
      read -r -u 4 _`,
    stop: `${pvpnBinary()} -S >/dev/null`,
  };
}

/** Those that there are on this machine, sshuttle among them or not. */
export async function peers(
  { client }: Lab,
  all: readonly Peer[],
): Promise<Peer[]> {
  const { code } = await client.run(["which", "sshuttle"]);
  if (code === 0) return [...all];
  await progress("no sshuttle here: run tools/deps bench");
  return all.filter((peer) => peer !== SSHUTTLE);
}

/** Milliseconds to connect, up to the first byte from the far end. */
export function connect(lab: Lab, peer: Peer): Promise<number> {
  return measure(lab, `${peer.connect}\n${readFirst(peer.address)}`);
}

/** Milliseconds to stop, until none of its processes is left on the client. */
export async function stop(lab: Lab, peer: Peer): Promise<number> {
  const pids = (await lab.client.processes()).map(({ pid }) => pid);
  return await measure(
    lab,
    `exec 5<> <(:)
    ${peer.stop}
    for pid in ${pids.join(" ")}; do
      while [ -e /proc/$pid ]; do read -t 0.001 -u 5; done
    done
    true`,
  );
}
