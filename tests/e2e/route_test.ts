/** What may, and what may not, take packets out of a tunnel again. */
import { assertEquals, assertMatch } from "@std/assert";
import { ADDRESS } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { pvpn } from "../lab/pvpn.ts";
import { assertFails, connect, SSH_PORT, suite, up, way } from "./helpers.ts";

const test = suite({ jump: false });

test("a more specific route, as DHCP hands out, takes nothing out of a tunnel", async (lab) => {
  const { client } = lab;
  for (const routes of [["default"], ["10.88.0.0/24", "203.0.113.0/24"]]) {
    const tunnel = await up(lab, ["root@server", ...routes]);
    const forged = ["203.0.113.9/32", "203.0.113.0/25", "10.88.0.9/32"];
    for (const to of forged) {
      await client.ok(["ip", "route", "add", to, "via", "10.77.0.1"]);
    }
    assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
    const inside = (await way(client, ADDRESS.inet)).split(" ")[0];
    // Under default, a private network may be this site's.
    assertEquals(inside, routes[0] === "default" ? "c0" : tunnel.device);
    for (const to of forged) await client.ok(["ip", "route", "delete", to]);
    await tunnel.stop();
  }
});

test("a change of the default route takes the connection along, and nothing else", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "default"]);
  await client.ok(["ip", "route", "delete", "default"]);
  assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
  await client.ok(["ip", "route", "add", "default", "via", "10.77.0.1"]);
  const { peer } = await tunnel.pair();
  assertEquals(
    await way(client, ADDRESS.public),
    `${tunnel.device} via ${peer}`,
  );
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
});

test("-x keeps networks outside, of a network and of default", async (lab) => {
  const { client } = lab;
  const outside = "c0 via 10.77.0.1";
  const exclude = ["-x", "203.0.113.8/30", "-x", "2001:db8::/64"];
  await using tunnel = await up(lab, [...exclude, "root@server", "default"]);
  const { device } = tunnel;
  assertEquals(await way(client, ADDRESS.public), outside);
  assertEquals((await way(client, "203.0.113.1")).split(" ")[0], device);
  assertEquals(await way(client, ADDRESS.public6), "c0 via fd77::1");
  const more = ["-x", "10.88.0.8/29", "root@server", "10.88.0.0/24"];
  await using second = await up(lab, [...more, "10.88.0.9"]);
  assertEquals(
    await way(client, "10.88.0.10"),
    `${device} via ${(await tunnel.pair()).peer}`,
  );
  assertEquals((await way(client, "10.88.0.1")).split(" ")[0], second.device);
  // The longer one wins, as everywhere.
  assertEquals((await way(client, ADDRESS.inet)).split(" ")[0], second.device);
});

test("a network around this machine's own is told, and takes it, but for -x", async (lab) => {
  const { client } = lab;
  const says = /this machine is in 10\.77\.0\.0\/24.*\n.*-x 10\.77\.0\.0\/24/;
  const tunnel = await up(lab, ["root@server", "10.77.0.0/16"], { says });
  assertEquals((await way(client, "10.77.0.7")).split(" ")[0], tunnel.device);
  await tunnel.stop();
  const args = ["-x", "10.77.0.0/24", "root@server", "10.77.0.0/16"];
  await using other = await up(lab, args);
  assertEquals(await way(client, "10.77.0.7"), "c0");
  assertEquals((await way(client, "10.77.9.7")).split(" ")[0], other.device);
});

test("of two tunnels, the longer prefix wins, whichever came first", async (lab) => {
  const { client } = lab;
  await using wide = await up(lab, ["root@server", "10.88.0.0/16"]);
  await using narrow = await up(lab, ["root@server", "10.88.0.0/24"]);
  await using all = await up(lab, ["root@server", "default"]);
  const device = async (to: string) => (await way(client, to)).split(" ")[0];
  assertEquals(await device(ADDRESS.inet), narrow.device);
  assertEquals(await device("10.88.7.7"), wide.device);
  assertEquals(await device(ADDRESS.public), all.device);
});

test("a server inside of another tunnel's network is reached through that", async (lab) => {
  const { client } = lab;
  const env = { SSH_ARGS: "-o HostKeyAlias=server" };
  await using outer = await up(lab, ["root@server", "10.88.0.0/24"]);
  const args = [`root@${ADDRESS.serverInside}`, "default"];
  await using inner = await up(lab, args, { env });
  const ssh = await way(client, ADDRESS.serverInside, ...SSH_PORT);
  assertEquals(ssh.split(" ")[0], outer.device);
  const there = await way(client, ADDRESS.public);
  assertEquals(there.split(" ")[0], inner.device);
  assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
});

test("--allow-fallback opens while the tunnel is down, and says so before", async (lab) => {
  const { client } = lab;
  const args = ["--allow-fallback", "root@server", "203.0.113.0/24"];
  const says = /warning: while the tunnel is down, .* in clear/;
  const tunnel = await up(lab, args, { says });
  const inside = await way(client, ADDRESS.public);
  assertEquals(inside.split(" ")[0], tunnel.device);
  await lab.stopSshd();
  await until(async () => await way(client, ADDRESS.public) !== inside);
  assertEquals(await way(client, ADDRESS.public), "c0 via 10.77.0.1");
  await lab.startSshd();
  await until(async () => await way(client, ADDRESS.public) === inside);
  assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
  await tunnel.stop();
});

async function until(check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!await check()) {
    if (performance.now() > end) throw new Error("not within 20 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("what -n prints is refused for the same reasons", async (lab) => {
  const args = ["-n", "root@server", "10.77.0.0/24"];
  assertFails(await pvpn(lab, ["-t", "ssh-3", ...args]), 7, /has a route to/);
  const { code, stdout } = await connect(lab, ["-n", "root@server", "default"]);
  assertEquals(code, 0);
  assertMatch(stdout, /goto|table 10000/);
});
