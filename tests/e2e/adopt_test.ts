/** A tunnel that has died is taken over by who asks for the same again. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import { assertFails, connect, said, suite } from "./helpers.ts";
import { eventually, start } from "./running.ts";

const test = suite({ jump: false });

const DEFAULT = ["root@server", "default"];
const CLOSED = /"tun0" still holds its routes closed; .*pvpn -S tun0/;

/** Ends all of pvpn's on the client, by force. */
async function killAll({ client }: Lab): Promise<void> {
  // The keeper first, and all at once: nobody is to come back.
  for (const { pid } of await client.processes()) {
    await client.kill(pid, "SIGKILL");
  }
}

/** A tunnel that was up, and is dead. */
async function dead(lab: Lab, args = DEFAULT): Promise<void> {
  const { code, stderr } = await connect(lab, args);
  assertEquals(code, 0, stderr);
  await killAll(lab);
}

async function assertUp(lab: Lab): Promise<void> {
  assertEquals(await reach(lab.client, ADDRESS.public), { from: "10.88.0.1" });
  const { stdout } = await pvpn(lab, ["-l"]);
  assertMatch(stdout, /^tun0 +ssh-3 +up /m);
}

async function assertClosed({ client }: Lab): Promise<void> {
  const { from, error } = await reach(client, ADDRESS.public);
  assertEquals(from, undefined);
  assertMatch(error ?? "", /unreach|No route|timed out/);
}

/** What leaves the client outside of the tunnel while something is done. */
async function leaks(
  { client }: Lab,
  body: () => Promise<void>,
): Promise<string[]> {
  const filter = "host 203.0.113.9 or host 2001:db8::9";
  const seen = await capture(client, "c0", filter.split(" "));
  const flood = [ADDRESS.public, ADDRESS.public6].map((address) =>
    client.own(
      client.spawn(["ping", "-n", "-q", "-i", "0.02", "-W1", address]),
    )
  );
  await body();
  for (const child of flood) child.kill("SIGKILL");
  await Promise.all(flood.map((child) => child.output()));
  return await seen.stop();
}

test("the same command brings a dead tunnel back, which was never open", async (lab) => {
  const { code, stderr } = await connect(lab, DEFAULT);
  assertEquals(code, 0, stderr);
  const leaked = await leaks(lab, async () => {
    const own = (await lab.client.processes()).filter(({ comm }) =>
      comm === "sh" || comm === "ssh"
    );
    for (const { pid } of own) await lab.client.kill(pid, "SIGKILL");
    await assertClosed(lab);
    const again = await connect(lab, DEFAULT);
    assertEquals([again.code, again.stdout], [0, "tun0 connected\n"]);
    assertEquals(
      again.stderr,
      'pvpn: "tun0" had died, and held its routes closed: taking it over\n',
    );
    await assertUp(lab);
  });
  assertEquals(leaked, []);
  // It has a keeper again.
  const [ssh] = (await lab.client.processes()).filter(({ comm }) =>
    comm === "ssh"
  );
  await lab.client.kill(ssh!.pid, "SIGKILL");
  await eventually(lab.client, ["ping", "-c1", "-W1", ADDRESS.public], 15_000);
  assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
});

test("another command does not, and the tunnel stays closed", async (lab) => {
  await dead(lab);
  for (
    const args of [
      ["--mtu=1400", ...DEFAULT],
      [...DEFAULT, "10.0.0.0/8"],
      ["-i", "10.9.9.1:10.9.9.2", ...DEFAULT],
    ]
  ) {
    const result = await connect(lab, args);
    assertFails(result, 7, /"tun0" has the default route already/, /-S tun0/);
    assertMatch(said(result, "warning").join(), /"tun0" has died/);
    await assertClosed(lab);
  }
  await connect(lab, ["-n", ...DEFAULT]); // looks, and touches nothing
  await assertClosed(lab);
  assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
});

test("a take-over that fails, or is cut, leaves it as closed as it was", async (lab) => {
  await dead(lab);
  await lab.stopSshd();
  const failed = await connect(lab, DEFAULT);
  assertFails(failed, 5, /no connection to/);
  assertMatch(said(failed, "warning").join(), CLOSED);
  await assertClosed(lab);
  // One that hangs, and then a ^C.
  await lab.client.ok(["nft", "-f", "-"], {
    stdin: "table inet cut { chain out { type filter hook output priority 0; " +
      "tcp dport 22 drop; }; }\n",
  });
  const running = start(lab, ["-t", "ssh-3", "-d", ...DEFAULT]);
  for (let line = 0;; line++) {
    await running.line(line);
    const list = await pvpn(lab, ["-l"]);
    if (/reconnecting/.test(list.stdout)) break;
  }
  await running.kill("SIGINT");
  const { code, stderr } = await running.ended;
  assertEquals(code, 130);
  assertMatch(stderr, CLOSED);
  await assertClosed(lab);
  await lab.client.ok(["nft", "delete", "table", "inet", "cut"]);
  await lab.startSshd();
  assertEquals((await connect(lab, DEFAULT)).stdout, "tun0 connected\n");
  await assertUp(lab);
  assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
});

test("in the foreground it is retried until it is up, or told to end", async (lab) => {
  const args = ["-t", "ssh-3", "-f", ...DEFAULT];
  const first = start(lab, args);
  assertEquals(await first.firstOutput, "tun0 connected");
  await lab.stopSshd();
  await killAll(lab);
  await first.ended;
  const leaked = await leaks(lab, async () => {
    await assertClosed(lab);
    const second = start(lab, args);
    await second.line(1); // the first failure
    await assertClosed(lab);
    await lab.startSshd();
    assertEquals(await second.firstOutput, "tun0 connected");
    await assertUp(lab);
    await second.kill("SIGKILL");
    const { stderr } = await second.ended;
    assertMatch(stderr, /taking it over\n[^]*no connection/);
  });
  assertEquals(leaked, []);
  // Told to end while it cannot connect, it opens: that is what stopping is.
  await lab.stopSshd();
  const third = start(lab, args);
  await third.line(1);
  await assertClosed(lab);
  await third.kill("SIGTERM");
  const { code, stdout } = await third.ended;
  assertEquals([code, stdout], [0, ""]);
  await lab.startSshd();
  assert(!/tun0/.test((await pvpn(lab, ["-l"])).stdout));
});
