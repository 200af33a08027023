/** What a tunnel writes down, on disks that do not take or keep it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab, type RunResult } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import {
  assertFails,
  connect,
  said,
  SSH_3,
  suite,
  unchanged,
  up,
} from "./helpers.ts";
import { until } from "../unit/helpers.ts";
import { eventually, start } from "./running.ts";

const test = suite({ jump: false });

const PING = ["ping", "-n", "-c1", "-W1", ADDRESS.public];
const DEFAULT = ["root@server", "default"];

/** What fills a small /run: its space, or all places for files. */
const FULL = {
  "no space": "head -c 100000 /dev/zero >/run/full 2>&-",
  "no room for files":
    'i=0; while touch "/run/full.$i" 2>&-; do i=$((i+1)); done',
};

const sh = ({ client }: Lab, script: string) => client.ok(["sh", "-c", script]);
const fill = (lab: Lab, how: string) => sh(lab, `${how}; :`);
const drain = (lab: Lab) => sh(lab, "rm -f /run/full*");

/** A /run of 64 KiB and 16 files for as long as a test takes. */
async function smallRun(lab: Lab, body: () => Promise<void>): Promise<void> {
  const options = "size=64k,nr_inodes=16,mode=755";
  await sh(lab, `mount -t tmpfs -o ${options} none /run`);
  await unchanged(lab, body);
  await sh(lab, "umount /run");
}

async function killSsh({ client }: Lab): Promise<void> {
  const all = await client.processes();
  const pids = all.filter(({ comm }) => comm === "ssh").map(({ pid }) => pid);
  assert(pids.length > 0);
  for (const pid of pids) await client.kill(pid, "SIGKILL");
}

for (const [what, how] of Object.entries(FULL)) {
  test(`with ${what} in /run nothing is changed`, (lab) =>
    smallRun(lab, async () => {
      await fill(lab, how);
      for (const args of [DEFAULT, ["-D", ...DEFAULT]]) {
        const result = await unchanged(lab, () => connect(lab, args));
        assertFails(result, 9, /cannot write \/run\/pvpn/, /df .*\/run/);
      }
      await drain(lab);
    }));

  test(`pvpn -S works with ${what} in /run`, (lab) =>
    smallRun(lab, async () => {
      for (const args of [DEFAULT, ["-D", ...DEFAULT]]) {
        await using tunnel = await up(lab, args);
        await fill(lab, how);
        assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 +ssh-3 +up /m);
        await tunnel.stop();
        await drain(lab);
      }
    }));

  test(`a tunnel that loses ssh with ${what} in /run stays closed, and comes back`, (lab) =>
    smallRun(lab, async () => {
      await using _ = await up(lab, DEFAULT);
      await fill(lab, how);
      await killSsh(lab);
      await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
      assert((await lab.client.run(PING)).code !== 0);
      await drain(lab);
      await eventually(lab.client, PING, 60_000);
      await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 5000);
      assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 +ssh-3 +up /m);
    }));
}

test("pvpn -f waits for room as well", (lab) =>
  smallRun(lab, async () => {
    const running = start(lab, ["-f", ...SSH_3, ...DEFAULT]);
    assertEquals(await running.firstOutput, "tun0 connected");
    await fill(lab, FULL["no space"]);
    await killSsh(lab);
    await running.find(/cannot write \/run\/pvpn/);
    assert((await lab.client.run(PING)).code !== 0, "leaks");
    await drain(lab);
    await eventually(lab.client, PING, 60_000);
    await running.kill("SIGTERM");
    assertEquals((await running.ended).code, 0);
  }));

const ETC_RO = "mount --bind /etc /etc && mount -o remount,bind,ro /etc";

test("with a read-only /etc, -D ends and leaves nothing", async (lab) => {
  await sh(lab, ETC_RO);
  const result = await unchanged(lab, () => connect(lab, ["-D", ...DEFAULT]));
  assertFails(result, 8, /resolv\.conf/, /./);
  {
    await using _ = await up(lab, DEFAULT);
    assertEquals(await reach(lab.client, ADDRESS.public), {
      from: "10.88.0.1",
    });
  }
  await sh(lab, "umount /etc");
});

test("with an /etc that has become read-only, -S says what is left, and can be tried again", async (lab) => {
  const tunnel = await up(lab, ["-D", ...DEFAULT]);
  await sh(lab, ETC_RO);
  const result = await pvpn(lab, ["-S"]);
  assertEquals([result.code, result.stdout], [9, ""], result.stderr);
  assertMatch(said(result, "error").join(), /not all of "tun0"/);
  assertMatch(said(result, "hint").join("\n"), /Read-only[^]*pvpn -S tun0/);
  await sh(lab, "umount /etc");
  await tunnel.stop();
});

/** What may become of a state, and what is said of it then. */
const LOST: Readonly<
  Record<string, { how: string; connect: [number, RegExp]; stop: RegExp }>
> = {
  lost: {
    how: "rm -r /run/pvpn",
    // What nobody answers for is another's, and not replaced.
    connect: [7, /has such a rule already/],
    stop: /"tun0" is one of pvpn's, but .*tun0\.json is gone/,
  },
  empty: {
    how: ": >/run/pvpn/tun0.json",
    connect: [9, /the state of "tun0" is not JSON/],
    stop: /the state of "tun0" is not JSON/,
  },
  "another user's": {
    how: "chown 65534 /run/pvpn/tun0.json",
    connect: [9, /by others than root/],
    stop: /by others than root/,
  },
};

for (
  const [what, { how, connect: [code, error], stop }] of Object.entries(LOST)
) {
  test(`a tunnel whose state is ${what} stays closed, and nothing is guessed`, async (lab) => {
    const { client } = lab;
    await up(lab, DEFAULT);
    const state = await client.readFile("/run/pvpn/tun0.json");
    await sh(lab, how);
    const alike = async (run: () => Promise<RunResult>) => {
      const before = await client.snapshot();
      const result = await run();
      assertEquals(await client.snapshot(), before);
      return result;
    };
    for (const args of [["-S"], ["-S", "tun0"]]) {
      const { code, stdout, stderr } = await alike(() => pvpn(lab, args));
      assertEquals([code, stdout], [9, ""]);
      assertMatch(stderr, stop);
    }
    assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
    await killSsh(lab);
    await until(async () => (await client.processes()).length === 0, 10);
    assert((await client.run(PING)).code !== 0, "leaks");
    assertFails(await alike(() => connect(lab, DEFAULT)), code, error);
    assert((await client.run(PING)).code !== 0, "leaks");
    await sh(lab, "rm -rf /run/pvpn; mkdir -m 700 /run/pvpn");
    await client.writeFile("/run/pvpn/tun0.json", state, { mode: 0o600 });
    assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
  });
}
