/** Tunnels that are started and stopped at the same moment. */
import { assert, assertEquals } from "@std/assert";
import { addServers, answerAll, type OtherServer } from "../lab/crowd.ts";
import type { Lab, RunResult } from "../lab/lab.ts";
import {
  assertApart,
  assertCarries,
  connectOn,
  deviceUp,
  numbers,
  pvpnOn,
  stopAll,
} from "./crowd.ts";
import { assertFails, said, suite, unchanged } from "./helpers.ts";
import { eventually, start } from "./running.ts";

/** How many at once. */
const AT_ONCE = Number(Deno.env.get("PVPN_AT_ONCE") ?? 20);
const SERVER = "root@server";

let others: OtherServer[] = [];
const test = suite({ jump: false }, async (lab) => {
  others = await addServers(lab, 5);
  await Promise.all(
    [lab.server, ...others.map(({ node }) => node)].map(answerAll),
  );
});

/** Starts tunnels at the same moment, to these hosts in turn. */
async function startAll(
  { client }: Lab,
  hosts: readonly string[],
): Promise<string[]> {
  const results = await Promise.all(
    numbers(AT_ONCE).map((n) => connectOn(client, n, hosts[n % hosts.length]!)),
  );
  return results.map(deviceUp);
}

async function assertAllUp({ client }: Lab, devices: string[]): Promise<void> {
  assertEquals(
    devices.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)),
    numbers(AT_ONCE).map((n) => `tun${n}`),
  );
  await assertApart(client, AT_ONCE);
  await Promise.all(
    devices.map((device, n) => assertCarries(client, n, device)),
  );
}

/** Stops tunnels at the same moment, each by its name. */
async function stopEach({ client }: Lab, devices: string[]): Promise<void> {
  const results = await Promise.all(
    devices.map((device) => pvpnOn(client, ["-S", device])),
  );
  results.forEach(({ code, stdout, stderr }, n) => {
    assertEquals(stderr, "");
    assertEquals({ code, stdout }, {
      code: 0,
      stdout: `${devices[n]} disconnected\n`,
    });
  });
}

test(`${AT_ONCE} starts at once, and as many stops, with one host`, async (lab) => {
  const devices = await startAll(lab, [SERVER]);
  await assertAllUp(lab, devices);
  await stopEach(lab, devices);
});

test(`${AT_ONCE} starts at once with several hosts, stopped with one -S`, async (lab) => {
  await unchanged(lab, async () => {
    const hosts = others.map(({ host }) => `root@${host}`);
    const devices = await startAll(lab, [SERVER, ...hosts]);
    await assertAllUp(lab, devices);
    await stopAll(lab.client, devices);
  }, others.map(({ node }) => node));
});

test("as many starts as stops at once", async (lab) => {
  const first = await startAll(lab, [SERVER]);
  const [results] = await Promise.all([
    Promise.all(
      numbers(AT_ONCE).map((n) => connectOn(lab.client, AT_ONCE + n, SERVER)),
    ),
    stopEach(lab, first),
  ]);
  const second = results.map(deviceUp);
  await assertApart(lab.client, AT_ONCE);
  await Promise.all(
    second.map((device, n) => assertCarries(lab.client, AT_ONCE + n, device)),
  );
  await stopAll(lab.client, second);
});

test("a start while the same is stopped is refused, or is up", async (lab) => {
  const { client } = lab;
  let device = deviceUp(await connectOn(client, 1, SERVER));
  for (let round = 0; round < 5; round++) {
    const [stopped, started] = await Promise.all([
      pvpnOn(client, ["-S", device]),
      connectOn(client, 1, SERVER),
    ]);
    assertEquals(stopped.stderr, "");
    assertEquals(stopped.stdout, `${device} disconnected\n`);
    if (started.code !== 0) {
      assertFails(started, 7, /"tun\d" has the route 10\.99\.1\.0\/24 already/);
      device = deviceUp(await connectOn(client, 1, SERVER));
    } else {
      device = deviceUp(started);
    }
    await assertCarries(client, 1, device);
  }
  await stopAll(client, [device]);
});

/** Proves that one of some `-S DEVICE` has stopped it, and what others say. */
function assertOneStopped(device: string, results: readonly RunResult[]): void {
  const done = results.filter(({ code }) => code === 0);
  assertEquals(done.map(({ stdout, stderr }) => [stdout, stderr]), [
    [`${device} disconnected\n`, ""],
  ]);
  for (const result of results) {
    if (result.code === 0) continue;
    assertFails(result, 9, new RegExp(`^there is no tunnel "${device}"$`));
    assertEquals(said(result, "hint"), ["no tunnel is up"]);
  }
}

for (const count of [2, 10]) {
  test(`of ${count} stops of one device at once, one stops it`, async (lab) => {
    const { client } = lab;
    const device = deviceUp(await connectOn(client, 1, SERVER));
    const stop = () => pvpnOn(client, ["-S", device]);
    assertOneStopped(device, await Promise.all(numbers(count).map(stop)));
  });

  test(`of ${count} stops of one in the foreground, one stops it`, async (lab) => {
    const { client } = lab;
    const held = start(lab, ["-t", "ssh-3", "--foreground", SERVER]);
    const device = (await held.firstOutput)!.split(" ")[0]!;
    const stop = () => pvpnOn(client, ["-S", device]);
    assertOneStopped(device, await Promise.all(numbers(count).map(stop)));
    assertEquals((await held.ended).code, 0);
  });

  test(`${count} times -S of all at once stop each once`, async (lab) => {
    const { client } = lab;
    const devices = (await Promise.all(
      numbers(3).map((n) => connectOn(client, n, SERVER)),
    )).map(deviceUp);
    const results = await Promise.all(
      numbers(count).map(() => pvpnOn(client, ["-S"])),
    );
    const lines = results.flatMap(({ stdout }) => stdout.split("\n"));
    assertEquals(
      lines.filter(Boolean).sort(),
      devices.map((device) => `${device} disconnected`).sort(),
    );
    for (const result of results) {
      if (result.code === 0) assertEquals(result.stderr, "");
      else {
        assertFails(result, 9, /^no tunnel is up$/);
        assertEquals(said(result, "hint"), []);
      }
    }
  });
}

test("what a server refuses of many at once leaves nothing", async (lab) => {
  const { client } = lab;
  await lab.startSshd(["MaxStartups 1"]);
  const results = await Promise.all(
    numbers(AT_ONCE).map((n) => connectOn(client, n, SERVER)),
  );
  const up = results.flatMap((result, n) =>
    result.code === 0 ? [[n, deviceUp(result)] as const] : []
  );
  assert(up.length > 0 && up.length < AT_ONCE, `${up.length} are up`);
  for (const result of results) {
    if (result.code !== 0) assertFails(result, 5, /./);
  }
  await assertApart(client, up.length);
  for (const [n, device] of up) await assertCarries(client, n, device);
  await stopAll(client, up.map(([, device]) => device));
  await lab.startSshd();
});

test("-S ends a login that is under way, and its ssh", async (lab) => {
  // A server that takes the connection, and then says nothing.
  const listen = `use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0);
    bind($s, sockaddr_in(2299, INADDR_ANY)) or die; listen($s, 5);
    print "ready\\n"; close STDOUT; sleep 1000`;
  const mute = lab.server.own(
    lab.server.spawn(["perl", "-e", `$| = 1; ${listen}`]),
  );
  const reader = mute.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  const running = start(lab, ["-t", "ssh-3", SERVER, "default"], {
    SSH_ARGS: "-p 2299",
  });
  // Not that of `ssh -G`, which comes before.
  const begun = "[ -e /run/pvpn/tun0.json ] && pgrep -x ssh";
  await eventually(lab.client, ["sh", "-c", begun], 5000);
  assertEquals((await pvpnOn(lab.client, ["-S"])).code, 0);
  assertEquals((await running.ended).code, 130);
  const left = (await lab.client.processes()).map(({ comm }) => comm);
  assertEquals(left.filter((comm) => /^(?:sh|ssh|pvpn)$/.test(comm)), []);
  mute.kill("SIGKILL");
  await mute.output();
});
