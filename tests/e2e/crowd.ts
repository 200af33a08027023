/** Many tunnels: each with a network of its own, and proof that none is in another's way. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Node, RunResult } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { way } from "./helpers.ts";

/** From 0 up to, not including, `count`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** Does something for all, a few at a time; the results are in their order. */
export async function inTurns<T, R>(
  all: readonly T[],
  act: (one: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const waiting = [...all.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      results[next[0]] = await act(next[1]);
    }
  };
  await Promise.all(numbers(4).map(work));
  return results;
}

/** The network of the tunnel with a number: a part of the lab's CROWD. */
export function networkOf(n: number): string {
  return `10.99.${n}.0/24`;
}

/** Runs pvpn on any node. */
export function pvpnOn(node: Node, args: readonly string[]) {
  return node.run([pvpnBinary(), ...args], { timeout: 300_000 });
}

/** Connects the tunnel with a number; whatever becomes of it. */
export function connectOn(
  node: Node,
  n: number,
  host: string,
  args: readonly string[] = [],
): Promise<RunResult> {
  return pvpnOn(node, ["-t", "ssh-3", ...args, host, networkOf(n)]);
}

/** The device of a tunnel that must be up, and have said only that. */
export function deviceUp({ code, stdout, stderr }: RunResult): string {
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertMatch(stdout, /^tun\d+ connected\n$/);
  return stdout.split(" ")[0]!;
}

/** Proves that the tunnel with a number carries packets, on its device. */
export async function assertCarries(
  node: Node,
  n: number,
  device: string,
): Promise<void> {
  const address = networkOf(n).replace(/0\/24$/, "7");
  assertEquals((await way(node, address)).split(" ")[0], device);
  await node.ok(["ping", "-n", "-c", "1", "-W", "5", address]);
}

/** Stops all tunnels of a node; that must work, and say only that. */
export async function stopAll(
  node: Node,
  devices: readonly string[],
): Promise<void> {
  const { code, stdout, stderr } = await pvpnOn(node, ["-S"]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const said = devices.map((device) => `${device} disconnected`);
  assertEquals(stdout.trimEnd().split("\n").sort(), said.sort());
}

/** Proves that no value is there twice. */
export function assertDistinct(what: string, values: readonly string[]): void {
  const twice = values.filter((value, i) => values.indexOf(value) !== i);
  assertEquals(twice, [], `${what} that two have`);
}

/** The IPv4 addresses of a node's tunnels, by what `ip` says. */
export async function tunAddresses(node: Node): Promise<string[]> {
  const all = await node.ok(["ip", "-4", "-oneline", "address"]);
  return [...all.matchAll(/^\d+: tun\S* +inet (\S+) peer (\S+)\//gm)]
    .flatMap(([, local = "", peer = ""]) => [local, peer]);
}

/**
 * Proves that as many tunnels are up on a node, and that no two have the same
 * address, network, table, or place among the rules.
 */
export async function assertApart(node: Node, count: number): Promise<void> {
  const addresses = await tunAddresses(node);
  assertEquals(addresses.length, 2 * count);
  assertDistinct("addresses", addresses);
  const rules = await node.ok(["ip", "-4", "rule"]);
  const leading = [
    ...rules.matchAll(/^(\d+):\s+from all to (\S+) lookup (\d{5})\b/gm),
  ];
  assertEquals(leading.length, count);
  assertDistinct("networks", leading.map(([, , to = ""]) => to));
  assertDistinct("tables", leading.map(([, , , table = ""]) => table));
  const routes = await node.ok(["ip", "-4", "route", "show", "table", "all"]);
  for (const [, , to, table] of leading) {
    const own = routes.split("\n").filter((line) =>
      line.includes(` table ${table} `)
    );
    // The way in, and its twin for when the tunnel is down.
    assertEquals(own.length, 2, `${own}`);
    assert(own.every((line) => line.includes(to!)), `${own}`);
  }
}
