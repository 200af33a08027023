/** Pumps of ssh-gso whose peer sends whatever comes to its mind. */
import { assert, assertEquals } from "@std/assert";
import { capture } from "../lab/capture.ts";
import {
  echo,
  frame,
  type Header,
  ipv4,
  ipv6,
  join,
  length,
} from "../lab/frames.ts";
import { RUNS, Seeded } from "../unit/fuzz.ts";
import { suite } from "./helpers.ts";
import { CLIENT, CLIENT6, HELLO, Peer, SERVER } from "./pump_helpers.ts";

const test = suite({ jump: false });

/** How many frames. */
const FRAMES = 5 * RUNS;

const V4 = [CLIENT, SERVER, "127.0.0.1", "10.77.0.2", "224.0.0.1"];
const V6 = [CLIENT6, "fd99::2", "::1", "fe80::1", "ff02::1"];
const EDGES = [0, 1, 8, 12, 16, 19, 20, 39, 40, 60, 1400, 65534, 65535];

function bytes(seeded: Seeded, count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, () => seeded.below(256));
}

/** A packet; most are from, or to, whom they may be. */
function packet(
  seeded: Seeded,
  end: "server" | "client",
): Uint8Array<ArrayBuffer> {
  const size = seeded.pick([0, 1, 20, 40, 100, 1400, 3000, 9000]);
  const payload = bytes(seeded, size);
  const protocol = seeded.pick([1, 6, 6, 17, 58, 4, 41, 47, 0, 43, 44]);
  if (size > 0 && seeded.below(8) === 0) return payload;
  const pair = (all: readonly string[]): [string, string] => {
    const [client = "", server = ""] = all;
    if (seeded.below(3) === 0) return [seeded.pick(all), seeded.pick(all)];
    return end === "server" ? [client, server] : [server, client];
  };
  return seeded.below(3)
    ? ipv4(...pair(V4), payload, protocol)
    : ipv6(...pair(V6), payload, protocol);
}

/** A header: none, one that may fit, or whatever. */
function header(seeded: Seeded): Header {
  const number = () =>
    seeded.below(3) ? seeded.pick(EDGES) : seeded.below(65536);
  const kind = seeded.below(3);
  if (kind === 0) return {};
  const sum = { flags: 1, start: seeded.pick([20, 40]), offset: 16 };
  const size = seeded.pick([0, 1, 2, 48, 1400]);
  if (kind === 1) return { ...sum, type: seeded.pick([0, 1, 4]), size };
  return {
    flags: seeded.pick([0, 1, 1, 1, 2, 3, seeded.below(256)]),
    type: seeded.pick([0, 1, 1, 4, 3, 5, 0x81, seeded.below(256)]),
    headers: number(),
    size: seeded.pick([size, seeded.below(65536)]),
    start: seeded.pick([20, 40, number()]),
    offset: seeded.pick([6, 16, number()]),
  };
}

/** A frame that has some of its bytes changed, but not its length. */
function fuzzed(
  seeded: Seeded,
  end: "server" | "client",
): Uint8Array<ArrayBuffer> {
  const bytes = frame(packet(seeded, end), header(seeded));
  for (let n = seeded.pick([0, 0, 1, 2, 8]); n > 0; n--) {
    bytes[4 + seeded.below(bytes.length - 4)] = seeded.below(256);
  }
  return bytes;
}

/** What came in through a device, and was not for, or from, the client. */
const SPOOFED = {
  server: `inbound and not src host ${CLIENT} and not src host ${CLIENT6}`,
  client: `inbound and (not dst host ${CLIENT} and not dst host ${CLIENT6}
    or src net 127.0.0.0/8 or src net 224.0.0.0/3 or src host ${CLIENT}
    or src host ${CLIENT6} or src host ::1 or src net fe80::/10)`,
} as const;

for (const end of ["server", "client"] as const) {
  test(`the ${end}'s pump goes on behind ${FRAMES} odd frames`, async (lab) => {
    await using peer = await Peer[end](lab);
    if (end === "client") await peer.send(HELLO);
    assert(await peer.answers());
    const spoofed = await capture(lab[end], peer.device, [SPOOFED[end]]);
    const before = await peer.taken();
    const seeded = new Seeded(8);
    for (let sent = 0; sent < FRAMES; sent += 100) {
      const frames = Array.from({ length: 100 }, () => fuzzed(seeded, end));
      const all = join(...frames);
      const cut = seeded.below(all.length);
      await peer.send(all.subarray(0, cut));
      await peer.send(all.subarray(cut));
      assert(await peer.answers(), `not after frame ${sent + 100}`);
    }
    // Some are good enough for the kernel, or nothing was tried.
    const taken = await peer.taken() - before;
    assert(taken > FRAMES / 10, `the kernel has got ${taken} of them`);
    assertEquals(await spoofed.stop(), []);
  });
}

test("a pump that gets garbage ends, and does not hang", async (lab) => {
  const seeded = new Seeded(88);
  for (let n = 0; n < 20; n++) {
    await using peer = await Peer.server(lab);
    const good = frame(ipv4(CLIENT, SERVER, echo(1)));
    await peer.send(join(
      ...Array<Uint8Array>(seeded.below(4)).fill(good),
      // At most the largest: longer garbage has a length that is wrong.
      length(0x01000000 + seeded.below(0xff000000 - 0x01000000)),
      bytes(seeded, seeded.below(100_000)),
    ));
    const { code } = await peer.child.status;
    assertEquals(code, 1);
    await peer.end();
  }
});
