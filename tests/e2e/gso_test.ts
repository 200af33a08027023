/** `ssh-gso`: connecting, what carries it, and what ends it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { SSH_PORT, suite, typed, way } from "./helpers.ts";
import { eventually, start } from "./running.ts";

const test = suite({ jump: false });
const { up } = typed("ssh-gso");
const PING = ["ping", "-c1", "-W1", "-n"];
const THROUGH = /IPv6 goes through the tunnel/;

test("pvpn -t ssh-gso carries networks and default, of both families", async (lab) => {
  const { client } = lab;
  const logins = await lab.logins();
  {
    await using tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    assertEquals(await reachUdp(client, ADDRESS.inet), true);
    assertEquals(
      (await way(client, ADDRESS.inet)).split(" ")[0],
      tunnel.device,
    );
    assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 +ssh-gso +up /m);
  }
  const args = ["root@server", "default"];
  await using tunnel = await up(lab, args, { says: THROUGH });
  for (
    const [to, from] of [
      [ADDRESS.public, ADDRESS.serverInside],
      [ADDRESS.public6, ADDRESS.serverInside6],
    ] as const
  ) {
    assertEquals(await reach(client, to), { from });
    assertEquals((await way(client, to)).split(" ")[0], tunnel.device);
  }
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  assertEquals(await lab.logins() - logins, 2);
});

test("-i rules both ends of ssh-gso, and another pair is found", async (lab) => {
  {
    const pair = ["-i", "10.9.8.1:10.9.8.2"];
    await using tunnel = await up(lab, [...pair, "root@server"]);
    const ends = { local: "10.9.8.1", peer: "10.9.8.2" };
    assertEquals(await tunnel.pair(), ends);
    await lab.client.ok([...PING, ends.peer]);
  }
  await lab.server.ok(["ip", "route", "add", "unreachable", "10.0.0.0/8"]);
  await using tunnel = await up(lab, ["root@server"]);
  const { peer } = await tunnel.pair();
  assertMatch(peer, /^(?:172|192)\./);
  await lab.client.ok([...PING, peer]);
  await lab.server.ok(["ip", "route", "delete", "unreachable", "10.0.0.0/8"]);
});

test("two tunnels of ssh-gso and one of ssh-3 stand side by side", async (lab) => {
  const ssh3 = typed("ssh-3");
  await using _a = await up(lab, ["root@server", "10.88.0.0/24"]);
  await using _b = await up(lab, ["root@server", "203.0.113.0/24"]);
  await using _c = await ssh3.up(lab, ["root@server"]);
  for (const address of [ADDRESS.inet, ADDRESS.public]) {
    assertEquals(await reach(lab.client, address), { from: "10.88.0.1" });
  }
});

/** Ends all processes of a name at once. */
async function killAll(node: Node, name: RegExp): Promise<number> {
  const all = await node.processes();
  const pids = all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => node.kill(pid, "SIGKILL")));
  return pids.length;
}

/** The name of the server's own shell: the one that sshd runs, not its child. */
async function killScript({ server }: Lab): Promise<number> {
  const all = await server.processes();
  const sshd = new Set(all.filter((p) => p.comm === "sshd").map((p) => p.pid));
  const shells = all.filter((p) => p.comm === "sh" && sshd.has(p.ppid));
  await Promise.all(shells.map(({ pid }) => server.kill(pid, "SIGKILL")));
  return shells.length;
}

const DEATHS: Record<string, (lab: Lab) => Promise<number>> = {
  "ssh": ({ client }) => killAll(client, /^ssh$/),
  "the pump here": ({ client }) => killAll(client, /^pvpn-pump/),
  "both of them": ({ client }) => killAll(client, /^(?:ssh|pvpn-pump.*)$/),
  "the pump there": ({ server }) => killAll(server, /^pvpn-pump/),
  "the server's script": killScript,
};

for (const [who, kill] of Object.entries(DEATHS)) {
  test(`ssh-gso comes back after kill -9 of ${who}, and leaks nothing`, async (lab) => {
    const { client } = lab;
    const args = ["root@server", "default"];
    await using _ = await up(lab, args, { says: THROUGH });
    const filter =
      "not arp and not icmp6 and not dst net ff02::/16 and not port 22";
    const seen = await capture(client, "c0", [filter]);
    const flood = (to: string) =>
      client.spawn(["ping", "-q", "-n", "-i", "0.02", "-W1", to]);
    const floods = [ADDRESS.public, ADDRESS.public6].map(flood);
    assert(await kill(lab) > 0);
    await eventually(client, ["pgrep", "-x", "pvpn"], 5000);
    await eventually(client, [...PING, ADDRESS.public], 30_000);
    await eventually(client, [...PING, ADDRESS.public6], 5000);
    for (const child of floods) child.kill("SIGKILL");
    await Promise.all(floods.map((child) => child.output()));
    assertEquals(await seen.stop(), []);
    await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
    assertEquals(
      (await client.processes()).map(({ comm }) => comm).sort(),
      ["pvpn-pump tun0", "sh", "ssh"],
    );
  });
}

test("the pump and ssh end when their keeper alone is killed", async (lab) => {
  const { client } = lab;
  const args = ["root@server", "default"];
  await using _ = await up(lab, args, { says: THROUGH });
  assertEquals(await killAll(client, /^sh$/), 1);
  await eventually(client, ["sh", "-c", "! pgrep 'ssh|pvpn-pump'"], 5000);
  assert((await client.run([...PING, ADDRESS.public])).code !== 0, "leaks");
});

test("pvpn -S undoes ssh-gso after kill -9 of everything", async (lab) => {
  const { client } = lab;
  await using _ = await up(lab, ["root@server", "10.0.0.0/8"]);
  await killAll(client, /^(?:sh|ssh|pvpn.*)$/);
  assert((await client.run([...PING, ADDRESS.inet])).code !== 0, "leaks");
});

test("a device that somebody deletes is not made by the pump", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
  await client.ok(["ip", "link", "delete", tunnel.device]);
  await eventually(client, ["pgrep", "-x", "pvpn"], 5000);
  const problem = async () => (await pvpn(lab, ["-l"])).stdout;
  const end = performance.now() + 20_000;
  while (!/there is no device tun0/.test(await problem())) {
    assert(performance.now() < end, await problem());
  }
  assert((await client.run([...PING, ADDRESS.inet])).code !== 0, "leaks");
});

test("pvpn -f -t ssh-gso reconnects by itself and cleans up at SIGTERM", async (lab) => {
  const { client } = lab;
  const running = start(lab, ["-f", "-t", "ssh-gso", "root@server", "default"]);
  assertEquals(await running.firstOutput, "tun0 connected");
  await killAll(client, /^ssh$/);
  await eventually(client, [...PING, ADDRESS.public], 15_000);
  await running.kill("SIGTERM");
  assertEquals((await running.ended).code, 0);
});
