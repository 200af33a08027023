/** What the pumps of ssh-gso make of a peer that is not one of ours. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import { echo, frame, ipv4, join, length } from "../lab/frames.ts";
import { suite } from "./helpers.ts";
import { CLIENT, HELLO, Peer, SERVER } from "./pump_helpers.ts";

const test = suite({ jump: false });
const ECHO = echo(1);

for (const end of ["client", "server"] as const) {
  test(`the ${end}'s pump takes packets in pieces of any size`, async (lab) => {
    await using peer = await Peer[end](lab);
    if (end === "client") {
      // A login shell may talk before.
      const before = new Uint8Array(60_000).fill(0x70);
      await peer.send(join(before, new TextEncoder().encode(HELLO)));
      await peer.said(/^pump: ready$/m);
    }
    const ask = frame(ipv4(...peer.addresses, ECHO));
    const two = join(ask, ask, length(10 + 28));
    for (const byte of two) await peer.send(new Uint8Array([byte]));
    await peer.send(
      frame(ipv4(...peer.addresses, echo(1, new Uint8Array())))
        .slice(4),
    );
    for (const size of [60, 60, 28]) {
      assertEquals((await peer.frames.packet())?.length, size);
    }
    const large = echo(2, new Uint8Array(1400));
    await peer.send(
      join(...Array(200).fill(frame(ipv4(...peer.addresses, large)))),
    );
    for (let i = 0; i < 200; i++) {
      assertEquals((await peer.frames.packet())?.length, 1428);
    }
  });
}

for (const wrong of [2, 9, 10, 65551, 65552, 0x70617373, 0xffffffff]) {
  test(`a frame of ${wrong} bytes ends the pump, and it says so`, async (lab) => {
    await using peer = await Peer.server(lab);
    assert(await peer.answers());
    await peer.send(join(length(wrong), new Uint8Array(100)));
    assertEquals(await peer.frames.packet(), undefined);
    assertEquals((await peer.child.status).code, 1);
    assertEquals(await peer.end(), 1);
    assertMatch(
      peer.errors,
      new RegExp(`^error the other end sent a frame of ${wrong} bytes$`, "m"),
    );
  });
}

test("the largest frame is no error", async (lab) => {
  await using peer = await Peer.server(lab);
  for (const size of [1, 65539, 65540]) {
    await peer.send(frame(new Uint8Array(size)));
  }
  assert(await peer.answers());
});

test("a shell that talks without end ends the client's pump", async (lab) => {
  await using peer = await Peer.client(lab);
  await peer.send("no tunnel here\n".repeat(6000));
  assertEquals((await peer.child.status).code, 1);
  await peer.end();
  assertMatch(peer.errors, /^pump: error the server prints without end$/m);
});

test("the client's pump ends as its ssh does", async (lab) => {
  for (const [script, code] of [["exit 7", 7], ["kill -9 $$", 137]] as const) {
    await using peer = await Peer.client(lab, script);
    await peer.child.status;
    assertEquals(await peer.end(), code);
  }
});

test("a pump whose device is deleted ends", async (lab) => {
  await using peer = await Peer.server(lab);
  assert(await peer.answers());
  await lab.server.ok(["ip", "link", "delete", peer.device]);
  assertEquals((await peer.child.status).code, 1);
  await peer.end();
  assertMatch(peer.errors, /^error tun\d+: File descriptor in bad state$/m);
});

test("a pump that has nothing to do sleeps", async (lab) => {
  await using peer = await Peer.server(lab);
  const conf = `net.ipv6.conf.${peer.device}.disable_ipv6=1`;
  await lab.server.ok(["sysctl", "-qw", conf]);
  assert(await peer.answers());
  const switches = async () => {
    const pid = lab.server.pidOf(peer.child);
    const status = await lab.server.readFile(`/proc/${pid}/status`);
    return /^voluntary_ctxt_switches:.*$/m.exec(status)?.[0];
  };
  // The kernel may still have something to say of IPv6, a few times.
  for (let n = 0;; n++) {
    const before = await switches();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    if (await switches() === before) return;
    assert(n < 5, "it wakes up again and again");
  }
});

test("a peer that reads nothing stops nothing, and fills nothing", async (lab) => {
  await using peer = await Peer.server(lab);
  assert(await peer.answers());
  const before = await peer.taken();
  const ask = frame(ipv4(CLIENT, SERVER, echo(1, new Uint8Array(1400))));
  const many = join(...Array<Uint8Array>(1000).fill(ask));
  for (let n = 0; n < 20; n++) await peer.send(many);
  // 28 MB have come in, and as many want to go out.
  const pid = lab.server.pidOf(peer.child);
  const end = performance.now() + deadline(10_000);
  while (await peer.taken() < before + 20_000) {
    assert(performance.now() < end, "it has stopped to take packets");
  }
  const status = await lab.server.readFile(`/proc/${pid}/status`);
  const [, resident] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  assert(Number(resident) < 16 * 1024, `it had ${resident} kB`);
});
