/** `--check`: what is missing is told, with what mends it; nothing changes. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CheckReport, CheckRow } from "../../lib/check.ts";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { bob, keyOptions, sshd } from "./failure_cases.ts";
import { connect, said, suite, unchanged } from "./helpers.ts";

const test = suite({ jump: false });

interface Checked {
  readonly code: number;
  readonly report: CheckReport;
  /** The row of a check. */
  row(end: CheckRow["end"], name: string, type?: string): CheckRow;
}

async function check(lab: Lab, ...args: string[]): Promise<Checked> {
  const { code, stdout, stderr } = await pvpn(lab, [
    ...["--check", "--json", ...args],
  ]);
  // What ssh itself says is shown, as it is when connecting.
  assertMatch(stderr, /^(?:pvpn: ssh: [^\n]*\n)*$/);
  const report = JSON.parse(stdout) as CheckReport;
  assertEquals(report.status, code);
  return {
    code,
    report,
    row(end, name, type) {
      const found = report.checks.find((row) =>
        row.end === end && row.name === name &&
        (type === undefined || row.type === type)
      );
      assert(found, `${end}: ${name}: ${stdout}`);
      return found;
    },
  };
}

test("--check tells what there is on both ends, in one login", async (lab) => {
  const logins = await lab.logins();
  const { code, report, row } = await unchanged(
    lab,
    () => check(lab, "-t", "ssh-3", "root@server"),
  );
  assertEquals(await lab.logins(), logins + 1);
  assertEquals(code, 0);
  assertEquals([report.version, report.host], [1, "root@server"]);
  assertEquals(report.types, [{ type: "ssh-3", usable: true, missing: [] }]);
  assertEquals(row("server", "PermitTunnel").detail, "for ssh-3: yes");
  assertEquals(row("server", "DisableForwarding").status, "ok");
  for (const end of ["client", "server"] as const) {
    assertMatch(row(end, "OpenSSH 7.8").detail, /^for ssh-3: \d+\.\d+/);
    assertMatch(row(end, "Linux").detail, /^\d+\.\d+/);
  }
  assertMatch(row("server", "sshd").detail, /^OpenSSH_\d/);
  assertMatch(row("server", "login").detail, /^by publickey, .* ms away$/);
  assertMatch(
    row("server", "MTU").detail,
    /^1500 on the way there, MSS 14\d\d$/,
  );
  assertMatch(row("server", "resolvers").detail, /^10\.88\.0\.9$/);
  assertMatch(row("client", "ssh").detail, /^OpenSSH_\d/);
  for (const end of ["client", "server"] as const) {
    assertMatch(row(end, "iproute2").detail, /^\d+\./);
  }
  for (const name of ["clock", "forwarding", "NAT", "root", "/dev/net/tun"]) {
    assertEquals(row("server", name).status, "ok", name);
  }
  const { stdout } = await pvpn(lab, ["--check", "-t", "ssh-3", "root@server"]);
  assertMatch(stdout, /^This machine:\n/);
  assertMatch(stdout, /^root@server:\n {2}ok {7}login: by publickey/m);
  assertMatch(stdout, /^Tunnel types:\n {2}ssh-3 can be used\n$/m);
});

test("--check without a host looks at this machine only", async (lab) => {
  const logins = await lab.logins();
  const { code, report } = await unchanged(
    lab,
    () => check(lab, "-t", "ssh-3"),
  );
  assertEquals([code, report.host], [0, null]);
  assertEquals(report.checks.filter(({ end }) => end === "server"), []);
  assertEquals(await lab.logins(), logins);
});

/** Proves that a type cannot be used, and that what is missing is mended so. */
function assertMissing(
  { code, report, row }: Checked,
  name: string,
  fix: RegExp,
): void {
  assertEquals(code, 6);
  assertEquals(report.types, [
    { type: "ssh-3", usable: false, missing: [`${name} there`] },
  ]);
  assertEquals(row("server", name).status, "missing");
  assertMatch(row("server", name).fix.join("\n"), fix);
}

for (const line of ["PermitTunnel no", "PermitTunnel ethernet"]) {
  test(`--check finds ${line}, and ends with 6`, async (lab) => {
    const restore = await sshd(line)(lab);
    const checked = await unchanged(
      lab,
      () => check(lab, "-t", "ssh-3", "root@server"),
    );
    await restore();
    assertMissing(checked, "PermitTunnel", /^sed -i .*PermitTunnel yes/);
  });
}

test("--check finds what a Match block says of who logs in", async (lab) => {
  const restore = await sshd("Match User root", "PermitTunnel no")(lab);
  const checked = await check(lab, "-t", "ssh-3", "root@server");
  await restore();
  assertMissing(checked, "PermitTunnel", /sshd_config/);
});

test("--check warns of what newer sshds take for tunnels as well", async (lab) => {
  const restore = [
    await sshd("DisableForwarding yes")(lab),
    await keyOptions("restrict")(lab),
  ];
  const { code, row } = await check(lab, "-t", "ssh-3", "root@server");
  for (const back of restore) await back();
  assertEquals(code, 0);
  for (const name of ["DisableForwarding", "key"]) {
    assertEquals(row("server", name).status, "warning");
    assertMatch(row("server", name).detail, /newer sshds take for tunnels/);
  }
  assertMatch(row("server", "DisableForwarding").fix[0]!, /^sed -i .*no' /);
});

test("--check finds a server without ip, or without /dev/net/tun", async (lab) => {
  const { server } = lab;
  const path = (await server.ok(["sh", "-c", "command -v ip"])).trim();
  const hide = ': >/tmp/no; mount --bind /tmp/no "$0"';
  await server.ok(["sh", "-ec", hide, path]);
  const ip = await check(lab, "-t", "ssh-3", "root@server");
  await server.ok(["sh", "-ec", 'umount "$0"; rm /tmp/no', path]);
  assertMissing(ip, "iproute2", /install iproute/);
  await server.ok(["mount", "-t", "tmpfs", "none", "/dev/net"]);
  const tun = await check(lab, "-t", "ssh-3", "root@server");
  await server.ok(["umount", "/dev/net"]);
  assertMissing(tun, "/dev/net/tun", /^modprobe tun$/);
});

test("--check tells a user of the server's who is not root to be root", async (lab) => {
  const restore = await bob(lab);
  const checked = await unchanged(
    lab,
    () => check(lab, "-t", "ssh-3", "bob@server"),
  );
  await restore();
  assertEquals(checked.row("server", "root").status, "missing");
  assertEquals(checked.row("server", "PermitTunnel").status, "warning");
  assertEquals(checked.code, 6);
});

test("--check warns of a server that does not forward", async (lab) => {
  const { server } = lab;
  const set = (value: number) =>
    server.ok(["sysctl", "-qw", `net.ipv4.ip_forward=${value}`]);
  await set(0);
  const { code, row } = await check(lab, "-t", "ssh-3", "root@server");
  await set(1);
  assertEquals(code, 0);
  const forwarding = row("server", "forwarding");
  assertEquals(forwarding.status, "warning");
  assertEquals(forwarding.fix, ["sysctl -w net.ipv4.ip_forward=1"]);
});

test("a failed connect points to --check, and says what it would", async (lab) => {
  const restore = await sshd("PermitTunnel no")(lab);
  const failed = await connect(lab, ["root@server"]);
  const checked = await check(lab, "-t", "ssh-3", "root@server");
  await restore();
  const [fix = ""] = checked.row("server", "PermitTunnel").fix;
  const hints = said(failed, "hint");
  assertEquals(hints[0], `type there: ${fix}`);
  assertMatch(hints.at(-1)!, /: pvpn --check -t ssh-3 root@server$/);
});

test("--check tells of this machine when the login fails, with ssh's status", async (lab) => {
  await lab.stopSshd();
  const { code, report, row } = await check(lab, "root@server");
  await lab.startSshd();
  assertEquals(code, 5);
  assertMatch(row("server", "login").detail, /^no connection to "server"/);
  assert(report.types.every(({ usable }) => !usable));
  assertEquals(row("client", "ssh").status, "ok");
});

test("--check tells all types, and which can be used", async (lab) => {
  const { code, report, row } = await check(lab, "root@server");
  assertEquals(code, 0);
  const types = new Map(report.types.map((type) => [type.type, type]));
  assertEquals(types.get("ssh-3")?.usable, true);
  assert(types.has("ppp"));
  for (const end of ["client", "server"] as const) {
    assertMatch(row(end, "perl").detail, /^for ssh-gso: 5\.\d+/);
    assertMatch(row(end, "pppd").detail, /^for ppp: .*\d\.\d/);
  }
  const refused = await pvpn(lab, ["--check", "-t", "no-such", "root@server"]);
  assertEquals([refused.code, refused.stdout], [2, ""]);
});
