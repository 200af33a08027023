/** How much a pump of ssh-gso lets be under way, and for whom. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import { ASK, echo, frame, HERE, ipv4, join, length } from "../lab/frames.ts";
import { suite } from "./helpers.ts";
import { CLIENT, Peer, SERVER } from "./pump_helpers.ts";

const test = suite({ jump: false });
const LARGE = frame(ipv4(CLIENT, SERVER, echo(1, new Uint8Array(1400))));
/** 1.4 MB of requests, which want as many answers. */
const MANY = join(...Array<Uint8Array>(1000).fill(LARGE));

test("a pump that is asked how far it is tells", async (lab) => {
  await using peer = await Peer.server(lab);
  assert(await peer.answers());
  await peer.send(join(length(ASK), LARGE, length(ASK)));
  assert(await peer.answers());
  assertEquals(peer.frames.answers, 2);
});

test("a pump lets only so much be under way, and drops what is more", async (lab) => {
  await using peer = await Peer.server(lab);
  peer.willing = false;
  const before = await peer.taken();
  for (let n = 0; n < 5; n++) await peer.send(MANY);
  const end = performance.now() + deadline(10_000);
  while (await peer.taken() < before + 5000) {
    assert(performance.now() < end, "it has stopped to take packets");
  }
  // What it asks now comes behind all that is under way.
  await peer.send(length(ASK));
  let size = 0;
  for (let next; (next = await peer.frames.next()) !== "here";) {
    assert(next !== undefined, "it has ended");
    size += next.length;
  }
  // A window of 256 KiB, less what stands before each packet.
  assert(size > 240_000 && size < 270_000, `${size} bytes are under way`);
  // Told that all has come, it goes on.
  peer.willing = true;
  for (let n = 0; n < 4; n++) await peer.send(length(HERE));
  assert(await peer.answers());
});

for (
  const [what, words, why] of [
    [
      "answers what nobody asked",
      join(length(HERE), length(HERE)),
      /answers what nobody asked/,
    ],
    ["asks without end", new Uint8Array(4 * 600_000), /asks without end/],
  ] as const
) {
  test(`a peer that ${what} ends the pump`, async (lab) => {
    await using peer = await Peer.server(lab);
    await peer.send(words);
    assertEquals((await peer.child.status).code, 1);
    await peer.end();
    assertMatch(peer.errors, why);
  });
}
