/** IPv6: tunnelled where the server has it, else closed; never beside. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { capture } from "../lab/capture.ts";
import { reach } from "../lab/reach.ts";
import { assertFails, connect, suite, up, way } from "./helpers.ts";

const test = suite({ jump: false });
const UNREACHABLE = /unreachable|No route to host/;
const THROUGH = /IPv6 goes through the tunnel/;

/** Whether IPv6 of both kinds is closed, but for the link. */
async function assertClosed({ client }: Lab): Promise<void> {
  for (const address of [ADDRESS.public6, ADDRESS.inet6]) {
    const { error = "" } = await reach(client, address);
    assertMatch(error, UNREACHABLE);
    assertMatch(await way(client, address), UNREACHABLE);
  }
  assertEquals(await way(client, ADDRESS.server6), "c0");
}

/** A server with other settings of its kernel's IPv6. */
async function sysctl({ server }: Lab, key: string, value: number) {
  const name = `net.ipv6.conf.${key}`;
  const old = (await server.ok(["sysctl", "-n", name])).trim();
  await server.ok(["sysctl", "-qw", `${name}=${value}`]);
  return () => server.ok(["sysctl", "-qw", `${name}=${old}`]);
}

test("default takes IPv6 through a server that has it", async (lab) => {
  const { client } = lab;
  assertEquals(await reach(client, ADDRESS.public6), { from: ADDRESS.client6 });
  const tunnel = await up(lab, ["root@server", "default"], { says: THROUGH });
  await using _ = tunnel;
  const uplink = await capture(client, "c0", ["host", ADDRESS.public6]);
  for (const address of [ADDRESS.public6, ADDRESS.inet6]) {
    assertEquals(await reach(client, address), { from: ADDRESS.serverInside6 });
    assertMatch(await way(client, address), new RegExp(`^${tunnel.device} `));
  }
  assertEquals(await uplink.stop(), []);
  assertEquals(await way(client, ADDRESS.server6), "c0");
  // The device has no address but those of the pair, and asks for none.
  const show = ["ip", "-6", "-o", "address", "show", "dev", tunnel.device];
  assertEquals((await client.ok(show)).trim().split("\n").length, 1);
});

test("an IPv6 network goes through the tunnel, and nothing else of IPv6", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "fd88::/64"]);
  assertEquals(await reach(client, ADDRESS.inet6), {
    from: ADDRESS.serverInside6,
  });
  assertEquals(await way(client, ADDRESS.public6), "c0 via fd77::1");
  assertEquals((await way(client, ADDRESS.inet)).split(" ")[0], "c0");
  const ping = ["ping", "-n", "-c1", "-W2", "-s", "1400", ADDRESS.inet6];
  await client.ok(ping);
  assert(tunnel.device);
});

test("an IPv6 network with the server in it does not swallow the connection", async (lab) => {
  const { client } = lab;
  const args = ["root@fd77::1", "fd00::/8"];
  await using tunnel = await up(lab, args, { says: /this machine is in fd77/ });
  const port = ["ipproto", "tcp", "dport", "22"];
  assertEquals(await way(client, ADDRESS.server6, ...port), "c0");
  const there = await way(client, ADDRESS.server6);
  assertEquals(there.split(" ")[0], tunnel.device);
  assertEquals((await reach(client, ADDRESS.inet6)).from, "fd88::1");
});

test("default to a server by its IPv6 address", async (lab) => {
  await using _ = await up(lab, ["root@fd77::1", "default"]);
  assertEquals((await reach(lab.client, ADDRESS.public)).from, "10.88.0.1");
  assertEquals((await reach(lab.client, ADDRESS.public6)).from, "fd88::1");
});

test("default closes IPv6 where the server has no way out for it", async (lab) => {
  const restore = await sysctl(lab, "all.forwarding", 0);
  const says = /IPv6 is blocked: "root@server" has no way out for it/;
  const tunnel = await up(lab, ["root@server", "default"], { says });
  await assertClosed(lab);
  assertEquals((await reach(lab.client, ADDRESS.public)).from, "10.88.0.1");
  await tunnel.stop();
  await restore();
});

test("default closes IPv6 where the server has none, and a network that needs it is refused", async (lab) => {
  const restore = await sysctl(lab, "default.disable_ipv6", 1);
  const says = /IPv6 is blocked: "root@server" has none/;
  const tunnel = await up(lab, ["root@server", "default"], { says });
  await assertClosed(lab);
  await tunnel.stop();
  const result = await connect(lab, ["root@server", "fd88::/64"]);
  assertFails(result, 6, /has no IPv6 for the tunnel/, /disable_ipv6/);
  await restore();
});

test("--ipv6 block closes it, and --ipv6 leave leaves it, and both say so", async (lab) => {
  const args = ["root@server", "default"];
  const blocked = /IPv6 is blocked: as --ipv6 block says/;
  const tunnel = await up(lab, ["--ipv6", "block", ...args], { says: blocked });
  await assertClosed(lab);
  await tunnel.stop();
  const left = /warning: IPv6 is left outside/;
  const other = await up(lab, ["--ipv6", "leave", ...args], { says: left });
  assertEquals(await reach(lab.client, ADDRESS.public6), {
    from: ADDRESS.client6,
  });
  await other.stop();
});

test("a machine whose devices have no IPv6 can have it in the tunnel", async (lab) => {
  const { client } = lab;
  const key = "net.ipv6.conf.default.disable_ipv6";
  await client.ok(["sysctl", "-qw", `${key}=1`]);
  const tunnel = await up(lab, ["root@server", "default"], { says: THROUGH });
  assertEquals((await reach(client, ADDRESS.public6)).from, "fd88::1");
  await tunnel.stop();
  await client.ok(["sysctl", "-qw", `${key}=0`]);
});

test("an MTU too small for IPv6 closes it", async (lab) => {
  const says = /IPv6 is blocked: it needs --mtu 1280/;
  const args = ["--mtu", "1200", "root@server", "default"];
  await using _ = await up(lab, args, { says });
  await assertClosed(lab);
});
