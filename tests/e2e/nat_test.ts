/** --nat: a server that does not forward by itself. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { said } from "./helpers.ts";
import { closeServer, connected, forwarding, hide, NAT, stop } from "./nat.ts";
import { Before } from "./running.ts";

const INSIDE = "10.88.0.0/24";
const PING = ["ping", "-c1", "-W1", "-n"];

labTest("a server that does not forward is named, with --nat", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const [, , ...plain] = NAT;
  for (const route of [INSIDE, "default", ADDRESS.inet]) {
    const result = await pvpn(lab, ["-t", "ssh-3", ...plain.slice(1), route]);
    assertEquals(result.code, 0, result.stderr);
    assertMatch(said(result, "warning").join(), /server does not forward/);
    assertMatch(said(result, "hint").join(), /--nat .*net\.ipv4\.ip_forward=1/);
    assert((await reach(lab.client, ADDRESS.inet, 1)).error);
    await stop(lab);
  }
  // Nothing beyond it is asked for: nothing is missing.
  for (const routes of [[], [ADDRESS.server]]) {
    await connected(lab, ["-t", "ssh-3", ...plain.slice(1), ...routes]);
    await stop(lab);
  }
  await before.assertSame("without --nat");
});

labTest("--nat brings packets beyond the server, and back", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  for (
    const [route, address] of [
      [INSIDE, ADDRESS.inet],
      ["default", ADDRESS.public],
    ] as const
  ) {
    await connected(lab, [...NAT, route]);
    assertEquals(await reach(lab.client, address), {
      from: ADDRESS.serverInside,
    });
    assert(await reachUdp(lab.client, address));
    await lab.client.ok([...PING, address]);
    assertEquals(await forwarding(lab, "all"), "0");
    assertEquals(await forwarding(lab, "default"), "0");
    await stop(lab);
    await before.assertSame(`--nat ${route}`);
  }
});

/** What of a neighbour's packets arrives; the neighbour tries all the while. */
async function passing(lab: Lab, pair: string): Promise<string[]> {
  const { jump, inet } = lab;
  const seen = await Promise.all([
    capture(inet, "i0", ["src", "net", "10.77.2.0/24"]),
    capture(jump, "j1", ["src", "host", ADDRESS.inet]),
  ]);
  await Promise.all([
    jump.run([...PING, ADDRESS.inet]),
    inet.run([...PING, "10.77.2.2"]),
    inet.run([...PING, pair]),
  ]);
  return (await Promise.all(seen.map((one) => one.stop()))).flat();
}

labTest("--nat makes the server no router for its neighbours", async (lab) => {
  const { client, server, jump, inet } = lab;
  await closeServer(lab);
  await jump.ok(["ip", "route", "add", INSIDE, "via", "10.77.2.1"]);
  for (const net of ["10.77.2.0/24", "10.99.9.0/24"]) {
    await inet.ok(["ip", "route", "add", net, "via", ADDRESS.serverInside]);
  }
  const before = await Before.of(lab);
  const pair = "10.99.9.1";
  await connected(lab, [...NAT, "-i", `${pair}:10.99.9.2`, INSIDE]);
  assertEquals(await forwarding(lab, "s1"), "1");
  const tunnel = await capture(client, "tun0", ["src", "host", ADDRESS.inet]);
  assertEquals(await passing(lab, pair), []);
  assertEquals(await tunnel.stop(), []);
  assertEquals((await reach(client, ADDRESS.inet)).from, ADDRESS.serverInside);
  await stop(lab);
  await before.assertSame("after neighbours tried");
  // They do get through one that is a router: so the above could have failed.
  await server.ok(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  await connected(lab, [...NAT, "-i", `${pair}:10.99.9.2`, INSIDE]);
  assert((await passing(lab, pair)).length >= 2);
  await inet.ok([...PING, pair]);
  await stop(lab);
});

labTest("--nat leaves a forwarding server forwarding", async (lab) => {
  await closeServer(lab);
  const { server } = lab;
  const switchOn = ["sysctl", "-qw", "net.ipv4.ip_forward=1"];
  await server.ok(["sysctl", "-qw", "net.ipv4.conf.s1.forwarding=1"]);
  let before = await Before.of(lab);
  await connected(lab, [...NAT, INSIDE]);
  assertEquals(await forwarding(lab, "s0"), "1");
  await stop(lab);
  await before.assertSame("one device forwarded before");

  await server.ok(switchOn);
  before = await Before.of(lab);
  await connected(lab, [...NAT, INSIDE]);
  assertEquals((await reach(lab.client, ADDRESS.inet)).error, undefined);
  await stop(lab);
  await before.assertSame("all forwarded before");

  // Somebody else, such as Docker, needs it while the tunnel is up.
  await closeServer(lab);
  await connected(lab, [...NAT, INSIDE]);
  await server.ok(switchOn);
  await stop(lab);
  await before.assertSame("all were made to forward meanwhile");
});

labTest("--nat clamps the MSS of TCP to the path, both ways", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const syn = ["tcp[tcpflags] & tcp-syn != 0"];
  // What each end is told: the MTU of the way between them, less 40.
  for (const [mtu, far, near] of [[9000, 1460, 8960], [1300, 1260, 1260]]) {
    await connected(lab, [...NAT, "--mtu", String(mtu), INSIDE]);
    const there = await capture(lab.inet, "i0", [...syn, "and dst port 5200"]);
    const here = await capture(lab.client, "tun0", syn);
    assert((await reach(lab.client, ADDRESS.inet)).from);
    const mss = (lines: readonly string[]) =>
      lines.map((line) => Number(/mss (\d+)/.exec(line)?.[1]));
    assertEquals(mss(await there.stop()), [far]);
    const [sent, got] = mss(await here.stop());
    assertEquals([sent, got], [near, Math.min(1460, near!)]);
    await stop(lab);
  }
  await before.assertSame("after the MSS was clamped");
});

labTest(
  "--nat says what the server lacks, and changes nothing",
  async (lab) => {
    await closeServer(lab);
    const { server } = lab;
    const before = await Before.of(lab);
    const fails = async (error: RegExp, hint: RegExp) => {
      const result = await pvpn(lab, [...NAT, INSIDE]);
      assertEquals(result.code, 6, result.stderr);
      assertMatch(said(result, "error").join(), error);
      assertMatch(said(result, "hint").join(), hint);
    };
    const flock = await hide(server, "/usr/bin/flock");
    await fails(/no "flock" program/, /apt install util-linux/);
    await flock();
    const hidden = [
      await hide(server, "/usr/sbin/nft"),
      await hide(server, "/usr/sbin/xtables-nft-multi"),
      await hide(server, "/usr/sbin/xtables-legacy-multi"),
    ];
    await fails(/neither "nft" nor "iptables"/, /apt install nftables/);
    for (const show of hidden) await show();
    // A firewall that cannot be changed, as in a container.
    const readOnly = "mount --bind /proc/sys /proc/sys && " +
      "mount -o remount,ro,bind /proc/sys";
    await server.ok(["sh", "-c", readOnly]);
    await fails(
      /could not set NAT up: .*Read-only/,
      /container .*CAP_NET_ADMIN/,
    );
    await server.ok(["umount", "/proc/sys"]);
    await before.assertSame("after failures");
  },
);

labTest("-n shows what --nat does, and runs none of it", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const { code, stdout } = await pvpn(lab, ["-n", ...NAT, INSIDE]);
  assertEquals(code, 0);
  assert(stdout.includes("masquerade"), stdout);
  const plain = await pvpn(lab, ["-n", ...NAT.slice(1), INSIDE]);
  assert(!plain.stdout.includes("masquerade"), plain.stdout);
  const { stderr } = await pvpn(lab, ["-d", ...NAT, INSIDE]);
  assertMatch(stderr, /^\+ server: nft .*pvpn_tun0/m);
  await stop(lab);
  await before.assertSame("after -n and -d");
});
