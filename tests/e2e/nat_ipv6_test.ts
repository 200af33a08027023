/**
 * --nat for IPv6. Linux forwards it by device since 6.17, else all or nothing:
 * so these also run in the virtual machine, whose kernel is older.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { said } from "./helpers.ts";
import {
  closeServer,
  connected,
  hide,
  killAll,
  NAT,
  stop,
  useIptables,
} from "./nat.ts";
import { Before, eventually } from "./running.ts";

const INSIDE = "fd88::/64";
const PING = ["ping", "-c1", "-W1", "-n"];

/** A setting of IPv6 on the server. */
async function setting(lab: Lab, key: string, value?: number): Promise<string> {
  const name = `net.ipv6.conf.${key}`;
  if (value !== undefined) {
    await lab.server.ok(["sysctl", "-qw", `${name}=${value}`]);
  }
  return (await lab.server.ok(["sysctl", "-n", name])).trim();
}

/** Whether this kernel forwards IPv6 by device. */
async function byDevice({ server }: Lab): Promise<boolean> {
  const path = "/proc/sys/net/ipv6/conf/all/force_forwarding";
  return (await server.run(["test", "-e", path])).code === 0;
}

labTest("a server that does not forward IPv6 is named", async (lab) => {
  await closeServer(lab);
  const [, ...plain] = NAT;
  const result = await pvpn(lab, [...plain, INSIDE]);
  assertMatch(said(result, "warning").join(), /does not forward IPv6:/);
  assertMatch(
    said(result, "hint").join(),
    /--nat .*ipv6\.conf\.all\.forwarding/,
  );
  assert((await reach(lab.client, ADDRESS.inet6, 1)).error);
  await stop(lab);
});

labTest("--nat brings IPv6 beyond the server, and back", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const routes = [[INSIDE, ADDRESS.inet6], ["default", ADDRESS.public6]];
  for (const [route = "", address = ""] of routes) {
    await connected(lab, [...NAT, route]);
    const { from, error } = await reach(lab.client, address);
    assertEquals([from, error], [ADDRESS.serverInside6, undefined]);
    assert(await reachUdp(lab.client, address));
    await stop(lab);
    await before.assertSame(`--nat ${route}`);
  }
});

labTest(
  "--nat masquerades IPv6 where the server forwards by itself",
  async (lab) => {
    await closeServer(lab);
    await setting(lab, "all.forwarding", 1);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    assertEquals((await reach(lab.client, ADDRESS.inet6)).error, undefined);
    await stop(lab);
    await before.assertSame("all forwarded before");
    // Somebody else needs it while the tunnel is up.
    await setting(lab, "all.forwarding", 0);
    await connected(lab, [...NAT, INSIDE]);
    await setting(lab, "all.forwarding", 1);
    await stop(lab);
    await before.assertSame("all were made to forward meanwhile");
  },
);

labTest(
  "--nat leaves a device alone that forwarded IPv6 by itself",
  async (lab) => {
    await closeServer(lab);
    await setting(lab, "s1.forwarding", 1);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    assertEquals((await reach(lab.client, ADDRESS.inet6)).error, undefined);
    await stop(lab);
    await before.assertSame("one device forwarded before");
  },
);

labTest(
  "--nat makes the server no IPv6 router for its neighbours",
  async (lab) => {
    await closeServer(lab);
    const { client, inet } = lab;
    await connected(lab, [...NAT, "2001:db8::9"]);
    // inet knows the way to fd77::/64: the client's own network.
    const seen = await Promise.all([
      capture(client, "c0", ["src", "host", ADDRESS.inet6]),
      capture(inet, "i0", ["icmp6 and src host", ADDRESS.client6]),
    ]);
    await Promise.all([
      client.run([...PING, ADDRESS.inet6]),
      inet.run([...PING, ADDRESS.client6]),
    ]);
    for (const one of seen) assertEquals(await one.stop(), []);
    await stop(lab);
    // They do get through one that is a router: so the above could have failed.
    await setting(lab, "all.forwarding", 1);
    await eventually(client, [...PING, ADDRESS.inet6], 5000);
  },
);

/** Sends one router advertisement, of a router for 1800 s (RFC 4861, 4.2). */
async function advertise(router: Node, device: string): Promise<void> {
  const send = `use Socket qw(:all);
    my $d = shift; open my $f, "<", "/sys/class/net/$d/ifindex" or die;
    my $i = 0 + <$f>;
    socket(my $s, AF_INET6, SOCK_RAW, 58) or die "socket: $!";
    setsockopt($s, 41, 17, pack("i", $i)) or die "device: $!"; # IPV6_MULTICAST_IF
    setsockopt($s, 41, 18, pack("i", 255)) or die "hops: $!"; # ..._HOPS
    my $ra = pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0);
    my $to = pack_sockaddr_in6(0, inet_pton(AF_INET6, "ff02::1"), $i);
    send($s, $ra, 0, $to) or die "send: $!";`;
  await router.ok(["perl", "-e", send, device]);
}

labTest("--nat leaves a server its default route of a router", async (lab) => {
  await closeServer(lab);
  const { server, inet } = lab;
  await server.ok(["ip", "-6", "route", "delete", "default"]);
  await setting(lab, "s1.accept_ra", 1);
  // Else it would say that it is a host, whenever it is asked where it is.
  await inet.ok(["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"]);
  await advertise(inet, "i0");
  const learnt = 'ip -6 route show default | grep -q "dev s1 proto ra"';
  await eventually(server, ["sh", "-c", learnt], 2000);
  const before = await Before.of(lab);
  await connected(lab, [...NAT, "default"]);
  assertEquals((await reach(lab.client, ADDRESS.public6)).error, undefined);
  await server.ok(["sh", "-c", learnt]);
  // It goes on to listen to its router.
  await server.ok(["ip", "-6", "route", "delete", "default"]);
  await advertise(inet, "i0");
  await eventually(server, ["sh", "-c", learnt], 2000);
  if (!await byDevice(lab)) {
    assertEquals(await setting(lab, "s1.accept_ra"), "2");
    assertEquals(await setting(lab, "s0.accept_ra"), "0");
  }
  await stop(lab);
  await before.assertSame("with a router's default route");
});

labTest("tunnels share --nat for IPv6, also after a kill -9", async (lab) => {
  await closeServer(lab);
  await setting(lab, "s1.accept_ra", 1);
  await setting(lab, "s0.forwarding", 1);
  const before = await Before.of(lab);
  for (const first of [0, 1]) {
    const devices = [
      await connected(lab, [...NAT, INSIDE]),
      await connected(lab, [...NAT, "2001:db8::/64"]),
    ];
    const to = [ADDRESS.inet6, ADDRESS.public6];
    await stop(lab, devices[first]!);
    const gone = `! nft list tables | grep pvpn_${devices[first]}`;
    await eventually(lab.server, ["sh", "-c", gone], 5000);
    assert((await reach(lab.client, to[1 - first]!)).from);
    await stop(lab);
    await before.assertSame(`tunnel ${first} first`);
  }
  await connected(lab, [...NAT, INSIDE]);
  for (const { pid, args } of await lab.server.processes()) {
    if (/ pvpn pvpn-[0-9a-f]{32} /.test(args)) {
      await lab.server.kill(pid, "SIGKILL");
    }
  }
  await killAll(lab.client, /^ssh$/);
  await eventually(lab.client, [...PING, ADDRESS.inet6], 15_000);
  await stop(lab);
  await before.assertSame("after kill -9 of the script");
});

for (const kind of ["nft", "legacy"]) {
  labTest(`--nat does IPv6 with ip6tables-${kind} alone`, async (lab) => {
    const { server } = lab;
    await closeServer(lab);
    for (const name of ["iptables", "ip6tables"]) {
      await useIptables(server, `${name}-${kind}`);
      for (const program of [name, `${name}-save`]) {
        const file = `/usr/sbin/${program.replace(name, `${name}-${kind}`)}`;
        await server.ok(["ln", "-sf", file, `/etc/alternatives/${program}`]);
      }
    }
    await server.ok([`ip6tables-${kind}`, "-P", "FORWARD", "DROP"]);
    const before = await Before.of(lab);
    const rules = () =>
      server.ok(["sh", "-c", `ip6tables-${kind}-save | grep -v '^[#:]'`]);
    const shown = await rules();
    const others = ["nft", ...kind === "legacy" ? ["xtables-nft-multi"] : []];
    const hidden = await Promise.all(
      others.map((other) => hide(server, `/usr/sbin/${other}`)),
    );
    await connected(lab, [...NAT, INSIDE]);
    assertEquals((await reach(lab.client, ADDRESS.inet6)).error, undefined);
    for (const show of hidden) await show();
    await stop(lab);
    await before.assertSame(kind);
    assertEquals(await rules(), shown);
  });
}
