/** What goes through a tunnel, and what stays outside of it. */
import { assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { capture } from "../lab/capture.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { SSH_PORT, suite, up, way } from "./helpers.ts";

const SSH_PORTS = ["Port 22", "Port 2222"];
const test = suite({ sshdConfig: SSH_PORTS });

/** The server under its inside address, which the client has no link to. */
const INSIDE = { env: { SSH_ARGS: "-o HostKeyAlias=server" } };

/** A megabyte there and back, which no connection in a loop survives. */
async function carries(lab: Lab, address: string): Promise<void> {
  const script = 'exec 3<>"/dev/tcp/$0/5200"; read -r _ <&3; read -r _ <&3; ' +
    "head -c 1000000 /dev/zero >&3 & head -c 1000000 <&3 | wc -c";
  const argv = ["timeout", "20", "bash", "-c", script, address];
  assertEquals((await lab.client.ok(argv)).trim(), "1000000");
}

/** The client's address that the server's second sshd sees. */
async function seenFrom(lab: Lab, address: string): Promise<string> {
  const options = ["-p", "2222", "-o", "HostKeyAlias=server"];
  const argv = ["ssh", ...options, `root@${address}`, "echo $SSH_CLIENT"];
  return (await lab.client.ok(argv)).split(" ")[0]!;
}

test("pvpn root@server 10.88.0.0/24 carries a byte from the far end", async (lab) => {
  const { client } = lab;
  assertMatch((await reach(client, ADDRESS.inet)).error ?? "", /refused/);
  await using tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
  const { peer } = await tunnel.pair();
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
  assertEquals(await reachUdp(client, ADDRESS.inet), true);
  const through = `${tunnel.device} via ${peer}`;
  assertEquals(await way(client, ADDRESS.inet), through);
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  assertEquals(await way(client, ADDRESS.public), "c0 via 10.77.0.1");
  assertMatch((await reach(client, ADDRESS.public)).error ?? "", /refused/);
});

test("pvpn root@server default carries everything but its own connection", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "default"]);
  const { peer } = await tunnel.pair();
  for (const address of [ADDRESS.public, ADDRESS.inet]) {
    assertEquals(await reach(client, address), { from: "10.88.0.1" });
    assertEquals(await reachUdp(client, address), true);
    assertEquals(await way(client, address), `${tunnel.device} via ${peer}`);
  }
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  const uplink = await capture(client, "c0", ["host", ADDRESS.public]);
  await carries(lab, ADDRESS.public);
  assertEquals(await uplink.stop(), []);
});

test("default keeps outside only ssh to a server behind a router", async (lab) => {
  const { client } = lab;
  const args = [`root@${ADDRESS.serverInside}`, "default"];
  await using tunnel = await up(lab, args, INSIDE);
  const { local, peer } = await tunnel.pair();
  const through = `${tunnel.device} via ${peer}`;
  const outside = "c0 via 10.77.0.1";
  assertEquals(await way(client, ADDRESS.serverInside, ...SSH_PORT), outside);
  assertEquals(await way(client, ADDRESS.serverInside), through);
  assertEquals(await seenFrom(lab, ADDRESS.serverInside), local);
  await carries(lab, ADDRESS.public);
});

test("10.0.0.0/8 does not swallow the connection to a server on the link", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "10.0.0.0/8"]);
  const { peer } = await tunnel.pair();
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  assertEquals(await way(client, ADDRESS.inet), `${tunnel.device} via ${peer}`);
  assertMatch(peer, /^(?!10\.)/, "a pair inside of what it is to route");
  await carries(lab, ADDRESS.inet);
});

test("10.0.0.0/8 does not swallow the connection to a server behind a router", async (lab) => {
  const { client } = lab;
  const args = [`root@${ADDRESS.serverInside}`, "10.0.0.0/8"];
  await using tunnel = await up(lab, args, INSIDE);
  const { local, peer } = await tunnel.pair();
  const through = `${tunnel.device} via ${peer}`;
  const outside = "c0 via 10.77.0.1";
  assertEquals(await way(client, ADDRESS.serverInside, ...SSH_PORT), outside);
  assertEquals(await way(client, ADDRESS.serverInside), through);
  assertEquals(await seenFrom(lab, ADDRESS.serverInside), local);
  await carries(lab, ADDRESS.inet);
});

test("the server's own address as a route takes all but ssh", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", ADDRESS.server]);
  const { local, peer } = await tunnel.pair();
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  assertEquals(
    await way(client, ADDRESS.server),
    `${tunnel.device} via ${peer}`,
  );
  assertEquals(await seenFrom(lab, ADDRESS.server), local);
});

test("networks inside each other, and default, go together", async (lab) => {
  const { client } = lab;
  const routes = ["default", "10.0.0.0/8", "10.88.0.0/24", ADDRESS.inet];
  await using tunnel = await up(lab, ["root@server", ...routes]);
  const { peer } = await tunnel.pair();
  for (const address of [ADDRESS.inet, "10.88.0.8", "10.1.1.1", "9.9.9.9"]) {
    assertEquals(await way(client, address), `${tunnel.device} via ${peer}`);
  }
  assertEquals(await way(client, ADDRESS.server, ...SSH_PORT), "c0");
  await carries(lab, ADDRESS.inet);
});

test("a tunnel without routes carries what is sent to its other end", async (lab) => {
  await using tunnel = await up(lab, ["root@server"]);
  const { local, peer } = await tunnel.pair();
  assertEquals(await way(lab.client, peer), tunnel.device);
  assertEquals(await seenFrom(lab, peer), local);
});

test("SSH_ARGS chooses the port, and that port stays outside", async (lab) => {
  const env = { SSH_ARGS: "-p 2222 -o HostKeyAlias=server" };
  await using tunnel = await up(lab, ["root@server", "10.0.0.0/8"], { env });
  const { peer } = await tunnel.pair();
  const port = ["ipproto", "tcp", "dport", "2222"];
  assertEquals(await way(lab.client, ADDRESS.server, ...port), "c0");
  assertEquals(
    await way(lab.client, ADDRESS.inet, ...port),
    `${tunnel.device} via ${peer}`,
  );
  await carries(lab, ADDRESS.inet);
});

test("connecting logs in exactly once, and stopping not at all", async (lab) => {
  const before = await lab.logins();
  await (await up(lab, ["root@server", "default"])).stop();
  assertEquals(await lab.logins(), before + 1);
});
