/** The units of contrib/systemd, under a real systemd. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { lacksSystemd, Systemd } from "../lab/systemd.ts";
import { ALICE, credentials } from "../lab/user.ts";
import { Before, eventually } from "../e2e/running.ts";

const WORK = "pvpn@work.service";
const PROFILE = "host root@server\ntype ssh-3\nroute default\n";
const PING = ["ping", "-c1", "-W1", "-n", ADDRESS.public];
const UP = /^tun0 connected to root@server$/;

// One for all tests: they leave nothing, which is what they prove.
let lab: Lab;
let systemd: Systemd;

const lacks = lacksSystemd();
if (lacks === undefined) {
  Deno.test.beforeAll(async () => {
    lab = await Lab.up({ jump: false, user: true, openTun: true });
    systemd = await Systemd.boot(lab);
    await profile("work", PROFILE);
  });
  Deno.test.afterAll(async () => {
    await systemd?.[Symbol.asyncDispose]();
    await lab?.down();
  });
}

function test(name: string, body: () => Promise<void>): void {
  Deno.test({
    name: lacks === undefined ? name : `${name} (${lacks})`,
    ignore: lacks !== undefined,
    ...{ sanitizeOps: false, sanitizeResources: false },
    async fn() {
      const before = await Before.of(lab);
      await body();
      await before.assertSame(name);
    },
  });
}

function profile(name: string, text: string): Promise<void> {
  return lab.client.writeFile(`/etc/pvpn/${name}.conf`, text);
}

/** What leaves the client outside of the tunnel while something is done. */
async function leaks(body: () => Promise<void>): Promise<string[]> {
  const filter = "host 203.0.113.9 or host 2001:db8::9";
  const seen = await capture(lab.client, "c0", filter.split(" "));
  const flood = [ADDRESS.public, ADDRESS.public6].map((address) =>
    lab.client.own(
      lab.client.spawn(["ping", "-n", "-q", "-i", "0.1", "-W1", address]),
    )
  );
  await body();
  for (const child of flood) child.kill("SIGKILL");
  await Promise.all(flood.map((child) => child.output()));
  return await seen.stop();
}

test("a service is ready when it is up, and tells how it stands", async () => {
  await systemd.ok("systemctl", "start", WORK);
  assertMatch(await systemd.show(WORK, "StatusText"), UP);
  assertEquals(await reach(lab.client, ADDRESS.public), { from: "10.88.0.1" });
  await lab.stopSshd();
  await systemd.until(WORK, "StatusText", /^tun0 reconnecting: no connection/);
  assertEquals(await systemd.show(WORK, "ActiveState"), "active");
  await lab.startSshd();
  await systemd.until(WORK, "StatusText", UP);
  assertEquals(await systemd.show(WORK, "NRestarts"), "0");
  await systemd.ok("systemctl", "stop", WORK);
  assertEquals(await systemd.show(WORK, "Result"), "success");
});

test("a service that is killed stays closed until it is back", async () => {
  await systemd.ok("systemctl", "start", WORK);
  const leaked = await leaks(async () => {
    for (const server of ["up", "down"]) {
      const first = await systemd.show(WORK, "MainPID");
      if (server === "down") await lab.stopSshd();
      await systemd.ok("systemctl", "kill", "-s", "KILL", WORK);
      await systemd.until(WORK, "NRestarts", server === "up" ? /^1$/ : /^2$/);
      if (server === "down") {
        // It is on duty all the same: nothing goes out.
        await systemd.until(WORK, "StatusText", /reconnecting: no connection/);
        assertEquals(await systemd.show(WORK, "ActiveState"), "active");
        await lab.startSshd();
      }
      await systemd.until(WORK, "StatusText", UP);
      assert(await systemd.show(WORK, "MainPID") !== first);
      await eventually(lab.client, PING, 5000);
    }
  });
  assertEquals(leaked, []);
  // Stopped while it cannot connect, it opens.
  await lab.stopSshd();
  await systemd.until(WORK, "StatusText", /reconnecting: no connection/);
  await systemd.ok("systemctl", "stop", WORK);
  await lab.startSshd();
});

test("type ppp and another user's ssh work in what the unit allows", async () => {
  await profile(
    "alice",
    "host root@server\nroute 10.88.0.0/24\nssh-user alice\n",
  );
  await systemd.ok("systemctl", "start", "pvpn@alice");
  assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
  const all = await lab.client.processes();
  const ssh = all.find(({ comm }) => comm === "ssh");
  const { uids } = await credentials(lab.client, ssh!.pid);
  assertEquals(uids, Array(4).fill(`${ALICE.uid}`).join(" "));
  const status = await systemd.show("pvpn@alice", "StatusText");
  assertEquals(status, "ppp0 connected to root@server");
  await systemd.ok("systemctl", "stop", "pvpn@alice");
  await lab.client.remove("/etc/pvpn/alice.conf");
});

test("a profile that makes no sense fails, and is not tried again", async () => {
  const unit = "pvpn@wrong.service";
  await profile("wrong", "host root@server\nmtu 1\n");
  assertEquals((await systemd.run(["systemctl", "start", unit])).code, 1);
  assertEquals(await systemd.show(unit, "ActiveState"), "failed");
  assertEquals(await systemd.show(unit, "ExecMainStatus"), "2");
  const log = await Deno.readTextFile(Systemd.log(lab));
  assertMatch(
    log,
    /error: \/etc\/pvpn\/wrong\.conf: --mtu 1 is neither a number/,
  );
  await systemd.ok("systemctl", "reset-failed", unit);
  await lab.client.remove("/etc/pvpn/wrong.conf");
});

/** A tunnel's resolv.conf is all that a loss of power leaves. */
async function afterPowerLoss(unit: string): Promise<void> {
  const conf = "/etc/resolv.conf";
  const own = await lab.client.readFile(conf);
  const names = ["--dns", ADDRESS.inet, "-t", "ssh-3"];
  await systemd.ok("pvpn", ...names, "root@server", "10.88.0.0/24");
  const lost = `cp ${conf} /root/made && pvpn -S && ` +
    `ln ${conf} ${conf}.pvpn-tun0 && mv /root/made ${conf}`;
  await systemd.ok("sh", "-c", lost);
  assertMatch(await lab.client.readFile(conf), /^# Made by pvpn for tun0 /);
  await systemd.ok("systemctl", "start", unit);
  assertEquals(await lab.client.readFile(conf), own);
}

test("pvpn-recover undoes at its start, and stops all tunnels at its end", async () => {
  const unit = "pvpn-recover.service";
  // One that died while it was connecting.
  await lab.client.ok(["nft", "-f", "-"], {
    stdin: "table inet cut { chain out { type filter hook output priority 0; " +
      "tcp dport 22 drop; }; }\n",
  });
  const dying = systemd.run(["pvpn", "@work"]);
  await eventually(lab.client, ["ip", "link", "show", "tun0"], 10_000);
  await lab.client.ok(["pkill", "-KILL", "-x", "pvpn|sh|ssh"]);
  assertEquals((await dying).code, 137);
  await lab.client.ok(["nft", "delete", "table", "inet", "cut"]);
  await systemd.ok("systemctl", "start", unit);
  assertEquals((await lab.client.run(["ip", "link", "show", "tun0"])).code, 1);
  await systemd.ok("systemctl", "stop", unit);
  await afterPowerLoss(unit);
  // By hand, and as a service.
  await systemd.ok("pvpn", "-t", "ssh-3", "root@server", "10.88.0.0/24");
  await systemd.ok("systemctl", "start", WORK);
  await systemd.ok("systemctl", "stop", unit);
  await systemd.until(WORK, "ActiveState", /^inactive$/);
  assertEquals(await systemd.show(unit, "Result"), "success");
  // There is no tunnel to stop: that is no failure.
  await systemd.ok("systemctl", "start", unit);
  await systemd.ok("systemctl", "stop", unit);
  assertEquals(await systemd.show(unit, "Result"), "success");
});
