/** The server, or a part of it, dies under tunnels that are up. */
import { assert, assertEquals } from "@std/assert";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { until } from "../unit/helpers.ts";
import { addresses, deviceOf, suite, Tunnel, typed } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ jump: false });

const TYPES = ["ssh-3", "ssh-gso"] as const;
const ping = (address: string) => ["ping", "-n", "-c1", "-W1", address];
const INSIDE = [ADDRESS.public, ADDRESS.inet];

/** Kills a node's processes whose command line is like this. */
async function killAll(node: Node, like = /./): Promise<number> {
  const all = await node.processes();
  const pids = all.filter(({ args }) => like.test(args)).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => node.kill(pid, "SIGKILL")));
  return pids.length;
}

/** A tunnel of each type. */
async function both(lab: Lab): Promise<Tunnel[]> {
  const tunnels = [];
  for (const [i, route] of ["default", "10.88.0.0/24"].entries()) {
    tunnels.push(await typed(TYPES[i]!).up(lab, ["root@server", route]));
  }
  return tunnels;
}

/** Waits until both carry packets again, and no pvpn is at work. */
async function back({ client }: Lab): Promise<void> {
  for (const address of INSIDE) await eventually(client, ping(address), 60_000);
  await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
}

async function stop(lab: Lab): Promise<void> {
  const { code, stderr } = await pvpn(lab, ["-S"]);
  assertEquals([code, stderr], [0, ""]);
}

const SESSION = /^sshd\S*: root@/;

test("tunnels come back after kill -9 of their sshd sessions", async (lab) => {
  await both(lab);
  for (let death = 0; death < 2; death++) {
    assert(await killAll(lab.server, SESSION) >= 2);
    await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
    await back(lab);
  }
  await stop(lab);
});

test("a server that was rebooted may give a tunnel another number", async (lab) => {
  const { server } = lab;
  const tunnels = await both(lab);
  const ends = await Promise.all(tunnels.map((tunnel) => tunnel.pair()));
  const devices = () =>
    Promise.all(
      ends.map(async ({ peer }) => (await deviceOf(server, peer)).ifname),
    );
  const before = await devices();
  await lab.stopSshd();
  await killAll(server);
  const links = async () => (await server.ok(["ip", "-br", "link"]));
  await until(async () => !/^tun/m.test(await links()), 5);
  for (const name of before) {
    await server.ok(["ip", "tuntap", "add", "dev", name, "mode", "tun"]);
    await server.ok(["ip", "link", "set", name, "up"]);
  }
  await lab.startSshd();
  await back(lab);
  const after = await devices();
  assertEquals(after.filter((name) => before.includes(name)), []);
  // What has the old numbers now is another's.
  await stop(lab);
  for (const name of before) {
    assertEquals(await addresses(server, name), []);
    await server.ok(["ip", "link", "delete", name]);
  }
});

test("pvpn -S undoes all after kill -9 of everything on both ends", async (lab) => {
  await both(lab);
  await Promise.all([lab.stopSshd(), killAll(lab.client), killAll(lab.server)]);
  assert((await lab.client.run(ping(ADDRESS.public))).code !== 0, "leaks");
  await stop(lab);
  await lab.startSshd();
});
