/**
 * `ppp`, against real pppds: what ppp_conformance_test.ts does not try. Where
 * this machine's kernel has no PPP, these run in the virtual machine
 * (tests/lab/vm.sh).
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import {
  assertFails,
  deviceOf,
  said,
  suite,
  typed,
  unchanged,
} from "./helpers.ts";

const ppp = typed("ppp");
const test = suite({ jump: false });

const PING = ["ping", "-c1", "-W2", "-n"];
const HOST = "root@server";
const THERE = { from: ADDRESS.serverInside };

/** Connects without -t; that must work, and say nothing but that. */
async function connect(lab: Lab, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await pvpn(lab, args);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

test("pvpn HOST NETWORK carries packets over ppp, whatever is in them", async (lab) => {
  const { client } = lab;
  const logins = await lab.logins();
  assertEquals(await connect(lab, HOST, "10.88.0.0/24"), "ppp0 connected\n");
  assertEquals(await reach(client, ADDRESS.inet), THERE);
  const names = new Set((await client.processes()).map(({ comm }) => comm));
  assertEquals([...names].sort(), ["pppd", "sh", "ssh"]);
  // Any byte, there and back: pppd escapes some, and ssh at a terminal would
  // take some for commands.
  const bytes = 'exec 3<>"/dev/tcp/$0/5200"; read -r _ <&3; read -r _ <&3; ' +
    "head -c 500000 /dev/urandom >/tmp/sent; cat /tmp/sent >&3 & " +
    "head -c 500000 <&3 | cmp /tmp/sent -; wait; rm /tmp/sent";
  await client.ok(["bash", "-ec", bytes, ADDRESS.inet]);
  assertMatch((await pvpn(lab, ["-l"])).stdout, /^ppp0 +ppp +up /m);
  const stopped = await pvpn(lab, ["-S", "ppp0"]);
  assertEquals(stopped.stdout, "ppp0 disconnected\n");
  assertEquals(await lab.logins(), logins + 1);
});

test("-i and --mtu rule both ends of ppp", async (lab) => {
  const { client, server } = lab;
  const args = ["-i", "10.9.8.1:10.9.8.2", HOST];
  for (const mtu of [576, 16380]) {
    await using tunnel = await ppp.up(lab, [...args, "--mtu", `${mtu}`]);
    const pair = { local: "10.9.8.1", peer: "10.9.8.2" };
    assertEquals(await tunnel.pair(), pair);
    const name = tunnel.device;
    assertEquals(await deviceOf(client, pair.local), { ifname: name, mtu });
    assertEquals(await deviceOf(server, pair.peer), { ifname: "ppp0", mtu });
    const full = ["-M", "do", "-s", `${mtu - 28}`, pair.peer];
    await client.ok([...PING, ...full]);
  }
});

test("a pair that collides is left for another, or refused", async (lab) => {
  const { client, server } = lab;
  const route = ["route", "add", "unreachable", "10.0.0.0/8"];
  await server.ok(["ip", ...route]);
  {
    await using tunnel = await ppp.up(lab, [HOST]);
    assertMatch((await tunnel.pair()).local, /^(?:172\.|192\.168\.)/);
  }
  const pair = "10.9.9.1:10.9.9.2";
  const there = await ppp.connect(lab, ["-i", pair, HOST]);
  assertFails(there, 6, /collides with the route .* on the server/, /-i any/);
  assert(said(there, "error").join().includes(pair));
  await server.ok(["ip", ...route.with(1, "delete")]);
  await client.ok(["ip", ...route]);
  const here = await ppp.connect(lab, ["-i", pair, HOST]);
  await client.ok(["ip", ...route.with(1, "delete")]);
  assertFails(here, 7, /collides with the route .* on this machine/, /-i any/);
});

test("ppp and ssh-3 stand side by side, and stop one by one", async (lab) => {
  const { client } = lab;
  const started = await Promise.all([
    connect(lab, HOST, "10.88.0.0/24"),
    connect(lab, "-t", "ssh-3", HOST, "203.0.113.0/24"),
    connect(lab, HOST),
  ]);
  assertEquals(
    started.sort(),
    ["ppp0", "ppp1", "tun0"].map((device) => `${device} connected\n`),
  );
  const { stdout } = await pvpn(lab, ["-l"]);
  const [, device = ""] = /^(ppp\d) .*\n +routes 10\.88/m.exec(stdout) ?? [];
  assertEquals((await pvpn(lab, ["-S", device])).code, 0);
  assertEquals(await reach(client, ADDRESS.public), THERE);
  assert((await reach(client, ADDRESS.inet)).error);
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
});

test("-d shows what pppd, ssh and the server do", async (lab) => {
  const { code, stdout, stderr } = await ppp.connect(lab, ["-d", HOST]);
  assertEquals({ code, stdout }, { code: 0, stdout: "ppp0 connected\n" });
  await pvpn(lab, ["-S"]);
  assertMatch(stderr, /^pppd: Using interface ppp0$/m);
  assertMatch(stderr, /^pppd: local {2}IP address 10\./m);
  // Without a `$`: as it was run, not as this side prints the script. Between
  // the words of sh -x other processes of the server's may write.
  assertMatch(
    stderr,
    /\+ server: [^$]*\bpppd\b[^$]*\bnotty\b[^$]*\bnodefaultroute\b/,
  );
  assertMatch(stderr, /^debug1: /m);
});

test("what -n prints makes the tunnel when it is pasted", async (lab) => {
  const { client } = lab;
  const args = ["-n", "-i", "10.9.9.1:10.9.9.2", HOST, "10.88.0.0/24"];
  const { code, stdout, stderr } = await unchanged(
    lab,
    () => ppp.connect(lab, args),
  );
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const [carrier = "", ...rest] = stdout.split(/^(?=ip -[46] )/m);
  const session = client.spawn(["sh", "-c", carrier]);
  const lines = session.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let shown = "";
  while (!/^pppd: remote IP address/m.test(shown)) {
    const { value, done } = await lines.read();
    assert(!done, shown);
    shown += value;
  }
  for (const text of rest) await client.ok(["sh", "-e"], { stdin: text });
  assertEquals(await reach(client, ADDRESS.inet), THERE);
  await client.ok(["pkill", "pppd"]);
  await session.status;
  await Promise.all([lines.cancel(), session.stdout.cancel()]);
  // What the device took with it is gone already.
  const undo = rest.join("").split("\n").toReversed()
    .filter((line) => /^(?:route|rule) add/.test(line))
    .map((line) => `${line.replace("add", "delete")}\n`).join("");
  await client.run(["ip", "-4", "-force", "-batch", "-"], { stdin: undo });
  await client.remove("/run/pppd2.tdb");
});
