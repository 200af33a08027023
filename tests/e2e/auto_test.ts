/** `-t auto`: the fastest type that both ends can do, and why no other. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { pvpn } from "../lab/pvpn.ts";
import { choice, failForAll, NET, up } from "./auto.ts";
import { bob, LAB, sshd, without } from "./failure_cases.ts";
import { assertFails, said, suite, unchanged } from "./helpers.ts";
import { eventually, start } from "./running.ts";

const test = suite(LAB);

test("-t auto takes ssh-gso in one login, where sshd permits no tunnels", async (lab) => {
  const restore = await sshd("PermitTunnel no")(lab);
  const { tunnel, lines } = await up(lab, "ssh-gso", 1);
  assertMatch(lines.at(-1)!, /^ssh-gso; slower, and not tried: ssh-3/);
  assert(lines.every((line) => !/^not ssh|again/.test(line)), `${lines}`);
  await tunnel.stop();
  await restore();
});

test("-t auto takes ssh-3 from a server without perl, and keeps it", async (lab) => {
  const restore = await without("server", "perl")(lab);
  const { tunnel, lines } = await up(lab, "ssh-3", 2);
  await restore();
  const [why, again] = lines.filter((line) => !/ppp/.test(line));
  assertMatch(why!, /^not ssh-gso: the server lacks perl$/);
  assertEquals(again, "logging in again, for ssh-3");
  const ssh = (await lab.client.processes()).filter((p) => p.comm === "ssh");
  for (const { pid } of ssh) await lab.client.kill(pid, "SIGKILL");
  await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
  await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 15_000);
  assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 +ssh-3 +up /m);
  await tunnel.stop();
});

test("-t auto takes ssh-3 in one login on a client without perl", async (lab) => {
  const restore = await without("client", "perl")(lab);
  const { tunnel, lines } = await up(lab, "ssh-3", 1);
  await tunnel.stop();
  await restore();
  assertEquals(lines[0], 'not ssh-gso: "ssh-gso" needs perl on this machine');
  assertMatch(lines.at(-1)!, /^ssh-3/);
});

test("-t auto names each reason where no type can be used", async (lab) => {
  const failed = await failForAll(lab);
  assertFails(failed, 6, /^no tunnel type can be used with "root@server": /);
  const [error = ""] = said(failed, "error");
  assertMatch(error, /ssh-gso: the server lacks perl;/);
  assertMatch(error, /ssh-3: the server lacks PermitTunnel;?/);
  assertMatch(error, /ppp: (?:the server lacks pppd|"ppp" needs )/);
  const hints = said(failed, "hint");
  for (const type of ["ssh-gso", "ssh-3", "ppp"]) {
    assert(hints.some((hint) => hint.startsWith(`for ${type}: `)), `${hints}`);
  }
  assertMatch(hints.at(-1)!, /: pvpn --check -t auto root@server$/);
});

test("-t auto says what this machine lacks without a login", async (lab) => {
  const before = await lab.logins();
  const mount = ["mount", "-t", "tmpfs", "none"];
  await lab.client.ok([...mount, "/dev/net"]);
  const restore = await without("client", "pppd")(lab);
  const failed = await pvpn(lab, ["-t", "auto", ...NET]);
  await restore();
  await lab.client.ok(["umount", "/dev/net"]);
  assertFails(failed, 4, /ssh-gso: .*; ssh-3: .*; ppp: "ppp" needs pppd/);
  assertEquals(await lab.logins(), before);
});

test("-t auto tries no other type where that is not what is wrong", async (lab) => {
  const restore = await bob(lab);
  const before = await lab.logins();
  const other = await pvpn(lab, ["-t", "auto", "bob@server"]);
  assertEquals(await lab.logins() - before, 1);
  await restore();
  assertFails(other, 6, /^the login is not root's/, /root@HOST/);
  await lab.stopSshd();
  const none = await pvpn(lab, ["-t", "auto", ...NET]);
  await lab.startSshd();
  assertFails(none, 5, /^no connection to "server"/);
  assertEquals(choice(none).filter((line) => /again/.test(line)), []);
});

test("-t auto takes a dead tunnel over, whatever its type is", async (lab) => {
  const { client } = lab;
  await pvpn(lab, ["-t", "ssh-3", ...NET]);
  for (const { pid } of await client.processes()) {
    await client.kill(pid, "SIGKILL");
  }
  const { tunnel } = await up(lab, "ssh-3", 1);
  await tunnel.stop();
});

test("-t auto in the foreground says what it chose, and ends cleanly", async (lab) => {
  const restore = await without("server", "perl")(lab);
  const running = start(lab, ["-f", "-t", "auto", ...NET]);
  assertEquals(await running.firstOutput, "tun0 connected");
  await running.kill("SIGTERM");
  const ended = await running.ended;
  await restore();
  assertEquals(ended.code, 0);
  assertMatch(ended.stderr, /^pvpn: auto: ssh-3/m);
});

test("pvpn -n -t auto prints what the first type would do, and does nothing", async (lab) => {
  const before = await lab.logins();
  const dry = await unchanged(
    lab,
    () => pvpn(lab, ["-n", "-t", "auto", ...NET]),
  );
  assertEquals([dry.code, await lab.logins()], [0, before]);
  assertMatch(dry.stdout, /vnet_hdr/);
  assertMatch(choice(dry).at(-1)!, /^ssh-gso, if "root@server" can do it; /);
});

test("--check -t auto looks at the types that auto tries", async (lab) => {
  const restore = await sshd("PermitTunnel no")(lab);
  const args = ["--check", "--json", "-t", "auto", "root@server"];
  const { code, stdout } = await pvpn(lab, args);
  await restore();
  assertEquals(code, 0);
  const report = JSON.parse(stdout) as {
    types: { type: string; usable: boolean }[];
  };
  const usable = report.types.map(({ type, usable }) => [type, usable]);
  assertEquals(usable.slice(0, 2), [["ssh-gso", true], ["ssh-3", false]]);
  assertEquals(usable[2]?.[0], "ppp");
});
