/** What the tests of --nat share: a server as most are, and what it has on. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Lab, Node } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";

/** The options of a tunnel that they connect with. */
export const NAT = ["--nat", "-t", "ssh-3", "root@server"] as const;

/**
 * Makes the server one that forwards nothing, and has no firewall. The hosts
 * behind it know no way back to a tunnel.
 */
export async function closeServer({ server }: Lab): Promise<void> {
  const close = "nft flush ruleset; sysctl -qw net.ipv4.ip_forward=0 " +
    "net.ipv6.conf.all.forwarding=0";
  await server.ok(["sh", "-c", close]);
}

/** Connects; that must work, and say nothing but that. */
export async function connected(
  lab: Lab,
  args: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await pvpn(lab, args);
  const said = stderr.replace(/^pvpn: IPv6 .*\n/m, ""); // with "default"
  assertEquals({ code, said }, { code: 0, said: "" });
  assertMatch(stdout, /^\w+ connected\n$/);
  return stdout.split(" ")[0]!;
}

/** Stops a tunnel, or all. */
export async function stop(lab: Lab, ...device: string[]): Promise<void> {
  const { code, stderr } = await pvpn(lab, ["-S", ...device]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
}

/** A setting of IPv4 forwarding on the server: `all`, or a device's. */
export async function forwarding(lab: Lab, name: string): Promise<string> {
  const path = `/proc/sys/net/ipv4/conf/${name}/forwarding`;
  return (await lab.server.ok(["cat", path])).trim();
}

/** Covers a program so that it cannot be run, until the result is called. */
export async function hide(node: Node, path: string): Promise<() => unknown> {
  await node.ok(["mount", "--bind", "/dev/null", path]);
  return () => node.ok(["umount", path]);
}

/** Kills processes of a node that are called so, with SIGKILL. */
export async function killAll(node: Node, name: RegExp): Promise<number> {
  const all = await node.processes();
  const pids = all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => node.kill(pid, "SIGKILL")));
  return pids.length;
}

/** Makes the tables of a server that uses iptables, which cannot remove them. */
export async function useIptables(node: Node, name: string): Promise<void> {
  const chains = [
    "nat -A POSTROUTING",
    "mangle -A FORWARD",
    "filter -A FORWARD",
  ];
  const lines = chains.flatMap((chain) => [
    `${name} -t ${chain} -j ACCEPT`,
    `${name} -t ${chain.replace("-A", "-F")}`,
  ]);
  await node.ok(["sh", "-c", lines.join(" && ")]);
}
