/**
 * More machines for a lab, by the dozen: clients of its server, and servers for
 * its client. Each is inside of that node, with a cable of its own to the other:
 *
 *     many N 10.66.0.N -- server            client -- 10.70.0.N other N
 */
import type { Lab, Node } from "./lab.ts";
import { Sshd } from "./sshd.ts";
import { ADDRESS, cables, settle } from "./topology.ts";

/** The network whose addresses {@linkcode answerAll} gives to a server. */
export const CROWD = "10.99.0.0/16";

/** Where the numbers of devices start that have one end in a lab's node. */
const FIRST_INDEX = 1000;

/** Runs lines of `ip -batch` on a node. */
const batch = (node: Node, lines: readonly string[]) =>
  node.ok(["ip", "-batch", "-"], { stdin: lines.join("\n") + "\n" });

/** An address of a network, as the machine with a number (from 0) has it. */
function addressIn(network: string, n: number): string {
  return `${network}.${Math.floor(n / 250)}.${n % 250 + 1}`;
}

/** Makes machines inside of `at`, with a cable each to `to`; IPv4 only. */
async function join(
  at: Node,
  to: Node,
  toAddress: string,
  network: string,
  count: number,
): Promise<Node[]> {
  const numbers = Array.from({ length: count }, (_, n) => n);
  const name = network.replaceAll(".", "-");
  const nodes: Node[] = [];
  for (const n of numbers) nodes.push(await at.inside(`${name}-${n}`));
  await cables(
    nodes.map(({ pid }, n) =>
      `link add name e0 index 10 netns ${pid} type veth ` +
      `peer name m${n} index ${FIRST_INDEX + n} netns ${to.pid}\n`
    ).join(""),
  );
  await batch(
    to,
    numbers.flatMap((n) => [
      `link set m${n} up`,
      `route add ${addressIn(network, n)} dev m${n} src ${toAddress}`,
    ]),
  );
  await Promise.all(nodes.map((node, n) =>
    batch(node, [
      `address add ${addressIn(network, n)}/32 dev e0`,
      "link set e0 up",
      `route add ${toAddress} dev e0`,
      `route add default via ${toAddress}`,
    ])
  ));
  await settle([to, ...nodes]);
  return nodes;
}

/** Adds clients, each with the lab's key and a cable to the lab's server. */
export function addClients(lab: Lab, count: number): Promise<Node[]> {
  const { client, server } = lab;
  return join(client, server, ADDRESS.server, "10.66", count);
}

/** Another server. */
export interface OtherServer {
  readonly node: Node;
  /** What the lab's client calls it. */
  readonly host: string;
}

/** Adds servers with an sshd, a cable to the lab's client, and its key. */
export async function addServers(
  lab: Lab,
  count: number,
): Promise<OtherServer[]> {
  const { client, dir, server } = lab;
  const key = `${dir}/server_key`;
  const nodes = await join(server, client, ADDRESS.client, "10.70", count);
  await Promise.all([
    ...nodes.map(async (node) => {
      await node.ok(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
      await new Sshd(node, key).start();
    }),
    Deno.writeTextFile(
      `${client.home}/.ssh/known_hosts`,
      `\n10.70.* ${await Deno.readTextFile(`${key}.pub`)}`,
      { append: true },
    ),
  ]);
  return nodes.map((node, n) => ({ node, host: addressIn("10.70", n) }));
}

/** Lets a server have all addresses of {@linkcode CROWD}, so that it answers. */
export function answerAll(server: Node): Promise<string> {
  return server.ok(["ip", "route", "add", "local", CROWD, "dev", "lo"]);
}
