/** What the pumps of ssh-gso drop, and what they let through. */
import { assert, assertEquals } from "@std/assert";
import { echo, frame, ipv4, ipv6 } from "../lab/frames.ts";
import { suite } from "./helpers.ts";
import { CLIENT, CLIENT6, HELLO, Peer, SERVER } from "./pump_helpers.ts";

const test = suite({ jump: false });
const ECHO = echo(1);
const SERVER6 = "fd99::2";

/** Frames by what they are. */
type Frames = Record<string, Uint8Array>;

/** Sends packets that have to be dropped, and proves that they were. */
async function drops(peer: Peer, frames: Frames): Promise<void> {
  const taken = await peer.taken();
  for (const [name, bytes] of Object.entries(frames)) {
    await peer.send(bytes);
    assert(await peer.answers(), name);
    assertEquals(await peer.taken(), taken, `it took: ${name}`);
  }
}

/** Sends packets that have to reach the machine. */
async function takes(peer: Peer, frames: Frames): Promise<void> {
  let taken = await peer.taken();
  for (const [name, bytes] of Object.entries(frames)) {
    await peer.send(bytes);
    assert(await peer.answers(), name);
    assertEquals(await peer.taken(), ++taken, `it dropped: ${name}`);
  }
}

const FOREIGN = ["127.0.0.1", "0.0.0.0", "0.9.9.9", "224.0.0.1", "240.0.0.1"];
const FOREIGN6 = [
  "::",
  "::1",
  "::ffff:909:909",
  "fe80::1",
  "febf::1",
  "ff02::1",
];

const named = (
  list: readonly string[],
  make: (address: string) => Uint8Array,
): Frames =>
  Object.fromEntries(list.map((address) => [address, frame(make(address))]));

test("the server's pump drops what is not from the client", async (lab) => {
  await using peer = await Peer.server(lab);
  const others = [SERVER, "10.9.9.3", "10.77.0.2", "255.255.255.255"];
  const others6 = [SERVER6, "fd99::3", "fd77::2"];
  await drops(peer, {
    ...named([...FOREIGN, ...others], (from) => ipv4(from, SERVER, ECHO)),
    ...named([...FOREIGN6, ...others6], (from) => ipv6(from, SERVER6)),
  });
  await takes(peer, {
    "to somebody behind it": frame(ipv4(CLIENT, "10.88.0.9", ECHO)),
    "IPv6": frame(ipv6(CLIENT6, SERVER6)),
  });
});

test("the client's pump drops what is not for it, or cannot be", async (lab) => {
  await using peer = await Peer.client(lab);
  await peer.send(HELLO);
  const own = [CLIENT, "255.255.255.255"];
  await drops(peer, {
    ...named([...FOREIGN, ...own], (from) => ipv4(from, CLIENT, ECHO)),
    ...named([...FOREIGN6, CLIENT6], (from) => ipv6(from, CLIENT6)),
    ...named(
      ["127.0.0.1", "10.77.0.2", "10.77.0.1", "224.0.0.1", SERVER],
      (to) => ipv4("10.88.0.9", to, ECHO),
    ),
    ...named(["::1", "ff02::1", "fd77::2"], (to) => ipv6("fd88::9", to)),
  });
  await takes(peer, {
    "from somebody behind the server": frame(ipv4("10.88.0.9", CLIENT, ECHO)),
    "from a public address": frame(ipv4("203.0.113.9", CLIENT, ECHO)),
    "IPv6": frame(ipv6("2001:db8::9", CLIENT6)),
    "of NAT64": frame(ipv6("64:ff9b::cb00:7109", CLIENT6)),
  });
});

for (const end of ["client", "server"] as const) {
  test(`the ${end}'s pump sends what has the client's address only`, async (lab) => {
    const node = lab[end];
    await using peer = await Peer[end](lab);
    if (end === "client") await peer.send(HELLO);
    assert(await peer.answers());
    peer.others.length = 0;
    const { device } = peer;
    const pings = end === "client"
      ? [["10.77.0.2", "10.1.1.1"], [CLIENT, "10.1.1.1"]] as const
      : [[SERVER, "10.1.1.1"], [SERVER, CLIENT]] as const;
    await node.ok(["ip", "route", "add", "10.1.1.1", "dev", device]);
    for (const [from, to] of pings) {
      await node.run(["ping", "-c1", "-W0.2", "-I", from, to]);
    }
    await node.run(["ping", "-c1", "-W0.2", `ff02::1%${device}`]);
    assert(await peer.answers());
    const at = end === "client" ? 12 : 16;
    const mine = (packet: Uint8Array) =>
      packet[0] === 0x45 && packet.slice(at, at + 4).join(".") === CLIENT;
    assertEquals(peer.others.map(mine), [true]);
  });
}

/** A TCP segment of `size` bytes; no checksum in it is right. */
function tcp(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20 + size);
  bytes.set([0x12, 0x34, 0x14, 0x50], 0);
  bytes.set([5 << 4, 0x10, 0xff, 0xff], 12);
  return bytes;
}

test("the pump takes headers that make sense only", async (lab) => {
  await using peer = await Peer.server(lab);
  const segment = ipv4(CLIENT, SERVER, tcp(4000), 6);
  const segment6 = ipv6(CLIENT6, SERVER6, tcp(4000), 6);
  const datagram = ipv4(CLIENT, SERVER, tcp(4000), 17);
  const fragment = segment.slice();
  fragment[6] = 0x20;
  const sum = { flags: 1, start: 20, offset: 16 };
  const sum6 = { ...sum, start: 40 };
  const gso = { ...sum, type: 1, headers: 40, size: 1400 };
  const gso6 = { ...sum6, type: 4, headers: 60, size: 1400 };
  const five = segment.slice();
  five[0] = 0x55;
  await drops(peer, {
    "nothing": frame(new Uint8Array(1)),
    "less than a header": frame(segment.slice(0, 19)),
    "less than a header of IPv6": frame(segment6.slice(0, 39)),
    "version 5": frame(five),
    "a checksum over the source": frame(segment, {
      ...sum,
      start: 0,
      offset: 12,
    }),
    "one just before the end of the header": frame(segment, {
      ...sum,
      start: 19,
    }),
    "one over the end of the source of IPv6": frame(segment6, {
      ...sum6,
      start: 20,
      offset: 2,
    }),
    "one over the source of IPv6": frame(segment6, {
      ...sum6,
      start: 8,
      offset: 0,
    }),
    "one behind the end": frame(segment, { ...sum, start: 4023 }),
    "one far behind the end": frame(segment, {
      ...sum,
      start: 65535,
      offset: 65535,
    }),
    "UDP fragments": frame(datagram, { ...gso, type: 3, offset: 6 }),
    "UDP segments": frame(datagram, { ...gso, type: 5, offset: 6 }),
    "TCP with ECN": frame(segment, { ...gso, type: 0x81 }),
    "an unknown type": frame(segment, { ...gso, type: 2 }),
    "TCP that is UDP": frame(datagram, gso),
    "IPv6 that is IPv4": frame(segment, { ...gso, type: 4 }),
    "IPv4 that is IPv6": frame(segment6, { ...gso6, type: 1 }),
    "a fragment in segments": frame(fragment, gso),
    "segments without a checksum": frame(segment, { ...gso, flags: 0 }),
    "segments of nothing": frame(segment, { ...gso, size: 0 }),
    "thousands of segments": frame(segment, { ...gso, size: 1 }),
  });
  await takes(peer, {
    "a checksum to be made": frame(segment.slice(0, 1500), sum),
    "a checksum that was looked at": frame(segment.slice(0, 1500), {
      flags: 2,
    }),
    "segments": frame(segment, gso),
    "segments of IPv6": frame(segment6, gso6),
  });
});
