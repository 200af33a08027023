/**
 * Addresses and routes of the lab:
 *
 *     client 10.77.0.2 -- 10.77.0.1 server 10.88.0.1 -- 10.88.0.9 inet
 *     client 10.77.1.2 -- 10.77.1.1 jump 10.77.2.2 -- 10.77.2.1 server
 *
 * IPv6 is the same with fd77::/64, fd88::/64. The inet node also is 203.0.113.9
 * and 2001:db8::9, "the internet". The server forwards IPv4 only for packets
 * that did not come from the client's or the jump's cable, so only a tunnel gets
 * to inet. It forwards all IPv6, and what leaks past a tunnel arrives there with
 * the client's own address: so it can be seen.
 */
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";
import { finish } from "./process.ts";

/** Addresses by what they are for. */
export const ADDRESS = {
  client: "10.77.0.2",
  server: "10.77.0.1",
  jump: "10.77.1.1",
  /** The server's side of the network that only it can reach. */
  serverInside: "10.88.0.1",
  /** The host that only the server can reach. */
  inet: "10.88.0.9",
  /** The same host as a part of the internet: reached through `default`. */
  public: "203.0.113.9",
  client6: "fd77::2",
  server6: "fd77::1",
  serverInside6: "fd88::1",
  inet6: "fd88::9",
  public6: "2001:db8::9",
} as const;

/** The nodes by name; jump may be left out. */
export interface Nodes {
  client: Node;
  server: Node;
  inet: Node;
  jump?: Node;
}

const NETWORK: Readonly<Record<keyof Nodes, string>> = {
  client: `
addr add 10.77.0.2/24 dev c0
addr add fd77::2/64 dev c0
link set c0 up
route add default via 10.77.0.1
route add default via fd77::1`,
  server: `
addr add 10.77.0.1/24 dev s0
addr add fd77::1/64 dev s0
addr add 10.88.0.1/24 dev s1
addr add fd88::1/64 dev s1
link set s0 up
link set s1 up
route add default via 10.88.0.9
route add default via fd88::9`,
  inet: `
addr add 10.88.0.9/24 dev i0
addr add fd88::9/64 dev i0
addr add 203.0.113.9/32 dev lo
addr add 2001:db8::9/128 dev lo
link set i0 up
route add fd77::/64 via fd88::1`,
  jump: `
addr add 10.77.1.1/24 dev j0
addr add 10.77.2.2/24 dev j1
link set j0 up
link set j1 up
route add 10.77.0.1 via 10.77.2.1`,
};

const JUMP_LINKS: Readonly<Record<"client" | "server", string>> = {
  client: "\naddr add 10.77.1.2/24 dev c1\nlink set c1 up",
  server: "\naddr add 10.77.2.1/24 dev s2\nlink set s2 up",
};

/** The server's firewall: only what came out of a tunnel may reach inet. */
const FIREWALL = `
table inet lab {
  chain forward {
    type filter hook forward priority filter
    iifname { "s0", "s2" } meta nfproto ipv4 meta l4proto tcp reject with tcp reset
    iifname { "s0", "s2" } meta nfproto ipv4 reject
  }
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname "s1" meta nfproto ipv4 masquerade
    oifname "s1" ip6 saddr != fd77::/64 masquerade
  }
}
`;

const HOSTS = `127.0.0.1 localhost
::1 localhost
10.77.0.1 server
10.77.1.1 jump
10.88.0.9 inet
`;

/** A nameserver a node, so that it shows whose answers one gets. */
const RESOLV: Readonly<Record<keyof Nodes, string>> = {
  // Where nobody answers; not on its own network, which pvpn would warn of.
  client: "nameserver 203.0.113.53\n",
  server: "nameserver 10.88.0.9\nsearch lab.test\n",
  inet: "nameserver 127.0.0.1\n",
  jump: "nameserver 10.77.0.1\n",
};

/** Runs `ip -batch` on the host, to make cables between nodes: no device shows up there. */
export async function cables(batch: string): Promise<void> {
  const ip = new Deno.Command("ip", {
    args: ["-batch", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stderr } = await finish(ip, batch, deadline(10_000));
  if (code !== 0) throw new Error(`cannot join the nodes: ${stderr}`);
}

/** Joins the nodes. */
async function cable({ client, server, inet, jump }: Nodes): Promise<void> {
  // Ends with unlike numbers come up at once, not by the kernel's next second.
  let index = 10;
  const end = (name: string, node: Node) =>
    `name ${name} index ${index++} netns ${node.pid}`;
  const veth = (a: string, at: Node, b: string, to: Node) =>
    `link add ${end(a, at)} type veth peer ${end(b, to)}\n`;
  let batch = veth("c0", client, "s0", server) + veth("s1", server, "i0", inet);
  if (jump) {
    batch += veth("c1", client, "j0", jump) + veth("j1", jump, "s2", server);
  }
  await cables(batch);
}

async function address(name: keyof Nodes, nodes: Nodes): Promise<void> {
  const more = nodes.jump && (name === "client" || name === "server")
    ? JUMP_LINKS[name]
    : "";
  const batch = `${NETWORK[name].trim()}${more}\n`;
  await nodes[name]?.ok(["ip", "-batch", "-"], { stdin: batch });
}

async function files(name: keyof Nodes, node: Node): Promise<void> {
  await Promise.all([
    node.writeFile("/etc/hosts", HOSTS),
    node.writeFile("/etc/resolv.conf", RESOLV[name]),
    node.writeFile("/etc/nsswitch.conf", "passwd: files\nhosts: files dns\n"),
  ]);
}

/**
 * Whether a node's devices are up with all IPv6 routes that the kernel makes
 * for them, a little after the commands have returned.
 */
function isReady(node: Node): boolean {
  const read = (file: string) =>
    Deno.readTextFileSync(`/proc/${node.pid}/net/${file}`).trim().split("\n");
  const routes = read("ipv6_route");
  const addresses = read("if_inet6");
  const linkLocal = addresses.filter((line) => line.startsWith("fe80")).length;
  const devices = read("dev").length - 3; // two lines of titles, and lo
  return linkLocal === devices && addresses.every((line) => {
    const local = `${line.slice(0, 32)} 80 `;
    return routes.some((route) => route.startsWith(local));
  });
}

/** Waits until nodes whose devices have been set up are as they stay. */
export async function settle(nodes: readonly Node[]): Promise<void> {
  const end = performance.now() + deadline(5000);
  while (!nodes.every(isReady)) {
    if (performance.now() > end) throw new Error("the devices do not come up");
    // No event tells: the routes follow the addresses in a worker's own time.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Makes a network of nodes that have just been started. */
export async function connect(nodes: Nodes): Promise<void> {
  const names = Object.keys(nodes) as (keyof Nodes)[];
  const forward =
    "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; nft -f -";
  await Promise.all([
    cable(nodes),
    nodes.server.ok(["sh", "-c", forward], { stdin: FIREWALL }),
    ...names.map((name) => files(name, nodes[name] as Node)),
  ]);
  await Promise.all(names.map((name) => address(name, nodes)));
  await settle(Object.values(nodes));
}
