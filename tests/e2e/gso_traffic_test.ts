/**
 * What ssh-gso makes of packets arrives as packets: for hosts behind the
 * server, whose devices do nothing for it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Node } from "../lab/lab.ts";
import { echoes } from "../lab/load.ts";
import { noOffloads } from "../lab/offloads.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { deviceOf, suite, typed } from "./helpers.ts";

const test = suite({ jump: false });
const { up } = typed("ssh-gso");
const NETWORKS = ["10.88.0.0/24", "fd88::/64"];

/** How many segments with a wrong checksum a node has got. */
async function wrong(node: Node): Promise<number> {
  const text = await node.ok(["cat", "/proc/net/snmp"]);
  const [names = "", values = ""] = text.split("\n").filter((line) =>
    line.startsWith("Tcp: ")
  );
  const at = names.split(" ").indexOf("InCsumErrors");
  return Number(values.split(" ")[at]);
}

for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
  test(`50 MB to ${address} and back are the same, in packets of 1500`, async (lab) => {
    const restore = await noOffloads(lab);
    const nodes = [lab.client, lab.inet];
    const before = await Promise.all(nodes.map(wrong));
    await using _ = await up(lab, ["root@server", ...NETWORKS]);
    const watch = () => capture(lab.inet, "i0", ["greater", "1515"]);
    const large = await watch();
    await echoes(lab.client, address, {
      ...{ streams: 1, bytes: 50_000_000, seconds: 40 },
    });
    assertEquals((await large.stop()).slice(0, 3), []);
    assertEquals(await Promise.all(nodes.map(wrong)), before);
    await restore();
    // With offloads they go on as they came: so there was something to do.
    const whole = await watch();
    const load = { streams: 1, bytes: 3_000_000, seconds: 20 };
    await echoes(lab.client, address, load);
    assert((await whole.stop()).length > 0, "there are no super-packets");
  });
}

test("200 streams at once arrive whole, over both families", async (lab) => {
  await using _ = await up(lab, ["root@server", ...NETWORKS]);
  const load = { streams: 100, bytes: 500_000, seconds: 50 };
  await Promise.all([
    echoes(lab.client, ADDRESS.inet, load),
    echoes(lab.client, ADDRESS.inet6, load),
  ]);
});

test("ICMP, UDP and fragments of any size come back", async (lab) => {
  const { client } = lab;
  await using _ = await up(lab, ["root@server", ...NETWORKS]);
  const restore = await noOffloads(lab);
  for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
    for (const size of [0, 1, 56, 1400, 1500, 3000, 9000, 60_000]) {
      const argv = ["ping", "-n", "-c", "1", "-W", "3", "-s", `${size}`];
      await client.ok([...argv, address]);
    }
    assert(await reachUdp(client, address));
    assertEquals((await reach(client, address)).error, undefined);
  }
  const datagrams = `use IO::Socket::INET; use Socket;
    my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $ARGV[0],
      PeerPort => 5200) or die;
    srand 8;
    for my $n (1 .. 300) {
      my $sent = join "", map { chr rand 256 } 1 .. 1 + rand($n % 3 ? 1472 : 9000);
      send $s, $sent, 0 or die "send: $!";
      alarm 5;
      recv $s, my $got, 65536, 0; die "$n" unless defined $got;
      die "datagram $n of @{[length $sent]} bytes is another" if $got ne $sent;
    }`;
  await client.ok(["perl", "-e", datagrams, ADDRESS.inet]);
  await restore();
});

test("what is too large is refused here, and what is behind is found out", async (lab) => {
  const { client, server, inet } = lab;
  await using tunnel = await up(lab, ["root@server", ...NETWORKS]);
  const ping = (size: number) =>
    client.run(["ping", "-n", "-c1", "-W2", "-Mdo", `-s${size}`, ADDRESS.inet]);
  assertEquals((await ping(1472)).code, 0);
  const refused = await ping(1473);
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr + refused.stdout, /message too long/i);
  // A cable that takes less: TCP is told so through the tunnel.
  await server.ok(["ip", "link", "set", "s1", "mtu", "1300"]);
  await inet.ok(["ip", "link", "set", "i0", "mtu", "1300"]);
  for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
    const load = { streams: 3, bytes: 3_000_000, seconds: 20 };
    await echoes(client, address, load);
  }
  assertMatch((await ping(1400)).stdout, /Frag needed.*mtu = 1300/);
  await server.ok(["ip", "link", "set", "s1", "mtu", "1500"]);
  await inet.ok(["ip", "link", "set", "i0", "mtu", "1500"]);
  assert(tunnel.device);
});

for (const mtu of [576, 1280, 9000, 16380]) {
  test(`--mtu ${mtu} is that of both ends`, async (lab) => {
    const { client, server } = lab;
    await using tunnel = await up(lab, ["--mtu", `${mtu}`, "root@server"]);
    const { local, peer } = await tunnel.pair();
    assertEquals((await deviceOf(client, local)).mtu, mtu);
    assertEquals((await deviceOf(server, peer)).mtu, mtu);
    const words = ["-c1", "-W2", "-Mdo", `-s${mtu - 28}`, peer];
    await client.ok(["ping", "-n", ...words]);
  });
}
