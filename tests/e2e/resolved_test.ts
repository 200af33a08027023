/** Names through the tunnel, where systemd-resolved manages them. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { havePackages, unpack } from "../lab/packages.ts";
import { pvpn } from "../lab/pvpn.ts";
import { said } from "./helpers.ts";
import {
  Asking,
  assertRight,
  LAN,
  type Names,
  namesTest,
  Uplinks,
} from "./names.ts";
import { Before, eventually, start } from "./running.ts";

const CONF = "/etc/resolv.conf";
const STUB = "../run/systemd/resolve/stub-resolv.conf";
const PACKAGES = [
  ...["systemd-resolved", "libsystemd-shared", "libnss-resolve"],
  ...["dbus-daemon", "dbus-system-bus-common"],
];

/** Users that the packages' scripts would have made. */
const USERS = `
for name in messagebus systemd-resolve; do
  grep -q "^$name:" /etc/group || echo "$name:x:990:" >>/etc/group
  grep -q "^$name:" /etc/passwd ||
    echo "$name:x:990:990::/:/usr/sbin/nologin" >>/etc/passwd
done
mkdir -p /run/dbus /run/systemd`;

/** The client's names are managed by it, as on many a laptop. */
async function prepare({ client }: Lab): Promise<AsyncDisposable> {
  await unpack(client, PACKAGES);
  await client.ok(["sh", "-e", "-c", USERS]);
  const services: Deno.ChildProcess[] = [];
  const serve = (...argv: string[]) => {
    const quiet = { stdout: "null", stderr: "null" } as const;
    services.push(client.own(client.spawn(argv, quiet)));
  };
  serve("dbus-daemon", "--system", "--nofork", "--nopidfile");
  await eventually(client, ["test", "-S", "/run/dbus/system_bus_socket"], 5000);
  serve("/lib/systemd/systemd-resolved");
  await client.ok(["ln", "-sf", STUB, CONF]);
  await eventually(client, ["resolvectl", "dns"], 10_000);
  // What its DHCP client would tell.
  await client.ok(["resolvectl", "dns", "c0", LAN]);
  await client.ok(["resolvectl", "domain", "c0", "home.test"]);
  return {
    async [Symbol.asyncDispose]() {
      for (const service of services) service.kill("SIGKILL");
      await Promise.all(services.map(({ status }) => status));
    },
  };
}

/** It runs, but programs read a file of somebody else's, or ask it directly. */
async function prepareBeside(lab: Lab): Promise<AsyncDisposable> {
  const services = await prepare(lab);
  const nss = "passwd: files\nhosts: files resolve [!UNAVAIL=return] dns\n";
  await lab.client.writeFile("/etc/nsswitch.conf", nss);
  await lab.client.remove(CONF);
  await lab.client.writeFile(CONF, `nameserver ${LAN}\n`);
  // It reads that file when it is asked, and writes what it makes of it into
  // one of its own when a link changes.
  await lab.client.ok(["resolvectl", "query", "www.corp.test"]);
  await lab.client.ok(["resolvectl", "domain", "c0", "other.test"]);
  await lab.client.ok(["resolvectl", "domain", "c0", "home.test"]);
  return services;
}

function resolvedTest(
  name: string,
  body: Parameters<typeof namesTest>[1],
  how = prepare,
): void {
  const missing = havePackages() ? "" : " (no packages: tools/deps vm)";
  const ignore = missing !== "";
  namesTest(`${name}${missing}`, body, { prepare: how, ignore });
}

async function up(lab: Lab, ...args: string[]): Promise<string> {
  const result = await pvpn(lab, ["root@server", ...args]);
  assertEquals([result.code, said(result, "warning")], [0, []], result.stderr);
  return result.stdout.split(" ")[0]!;
}

const SSH_3 = ["-t", "ssh-3"];

async function stop(lab: Lab, ...args: string[]): Promise<void> {
  const { code, stderr } = await pvpn(lab, ["-S", ...args]);
  assertEquals([code, stderr], [0, ""]);
}

/** What `resolvectl query` finds; none where there is no such name. */
async function resolve({ client }: Lab, name: string): Promise<string> {
  const argv = ["resolvectl", "query", "--cache=no", "-4", name];
  const { code, stdout, stderr } = await client.run(argv);
  const [, address] = /: (\d[\d.]+)/.exec(stdout) ?? [];
  return code === 0 ? address ?? stdout : stderr.trim();
}

async function assertResolved(lab: Lab, names: Names): Promise<void> {
  assertEquals(await resolve(lab, "www.corp.test"), "203.0.113.9");
  assertMatch(
    await resolve(lab, "none.corp.test"),
    /'none\.corp\.test' not found/,
  );
  await assertRight(lab, names);
}

const kill = (lab: Lab) => lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);
const DIG = ["dig", "+tries=1", "+time=2", "www.corp.test"];
const FOUND = [
  "sh",
  "-c",
  "dig +tries=1 +time=2 +short www.corp.test | grep -q 203",
];

for (const type of ["ssh-3", "ppp"]) {
  resolvedTest(
    `${type} -D: all names are asked through the tunnel only, also while it is down`,
    async (lab, names) => {
      await up(lab, "-t", type, "-D", "default");
      await assertResolved(lab, names);
      // A name that the local network claims as its own does not go there.
      assertMatch(await resolve(lab, "host.home.test"), /failed/);
      assertEquals(names.lan.asked(), []);
      const uplinks = await Uplinks.watch(lab);
      const asking = Asking.start(lab, "resolvectl query short www.corp.test");
      for (let death = 0; death < 2; death++) {
        await kill(lab);
        await eventually(lab.client, FOUND, 30_000);
      }
      await asking.stop();
      await uplinks.assertOnlySsh("while ssh was killed twice");
      await assertResolved(lab, names);
      await stop(lab);
      assertEquals(await resolve(lab, "www.corp.test"), "192.0.2.66");
    },
  );
}

resolvedTest(
  "--dns-domain sends some names there, and others where they went",
  async (lab, names) => {
    await up(lab, ...SSH_3, "-D", "--dns-domain", "corp.test", "10.99.0.0/24");
    assertEquals(await resolve(lab, "www.corp.test"), "203.0.113.9");
    assertMatch(
      await resolve(lab, "none.corp.test"),
      /'none\.corp\.test' not found/,
    );
    // With a dot behind, the C library does not search elsewhere as well.
    const none = ["getent", "hosts", "none.corp.test."];
    assertEquals((await lab.client.run(none)).code, 2);
    assertEquals(names.lan.asked(), []);
    names.server.asked();
    assertEquals(await resolve(lab, "host.home.test"), "192.0.2.67");
    assertEquals(names.server.asked(), []);
    assertEquals(names.lan.asked(), ["host.home.test"]);
    // While it is down, its names are refused at once, and nobody's else.
    await lab.stopSshd();
    for (let i = 0; i < 5; i++) {
      const { stdout } = await lab.client.run(DIG);
      assert(!stdout.includes("192.0.2.66"), stdout);
    }
    assertEquals(await resolve(lab, "host.home.test"), "192.0.2.67");
    assertEquals(names.lan.asked(), ["host.home.test"]);
    await lab.startSshd();
    await eventually(lab.client, FOUND, 60_000);
    assertEquals(names.lan.asked(), []);
    await stop(lab);
  },
);

resolvedTest(
  "two tunnels with -D are stopped in any order",
  async (lab, names) => {
    const before = await Before.of(lab);
    for (const order of [["tun0", "tun1"], ["tun1", "tun0"]]) {
      await up(lab, ...SSH_3, "-D", "default");
      await up(lab, ...SSH_3, "-D", "10.99.0.0/24");
      for (const device of order) {
        await assertResolved(lab, names);
        await stop(lab, device);
      }
      await before.assertSame(`stopped in the order ${order}`);
    }
  },
);

resolvedTest(
  "pvpn -S puts names back after kill -9 at any step",
  async (lab) => {
    const argv = ["-d", ...SSH_3, "root@server", "-D", "10.99.0.0/24"];
    const { stderr, code } = await start(lab, argv).ended;
    assertEquals(code, 0, stderr);
    await stop(lab);
    const before = await Before.of(lab);
    const lines = stderr.split("\n");
    const first = lines.findIndex((line) => line.startsWith("+ nft -f - "));
    const steps = lines.flatMap((line, number) =>
      number >= first &&
        /^\+ (?:nft|ip|resolvectl d\S+ \S+ (?:no|yes|192))/.test(line)
        ? [number]
        : []
    );
    assert(steps.length >= 6, stderr);
    for (const step of steps) {
      const running = start(lab, argv);
      await running.line(step);
      await running.kill("SIGKILL");
      await running.ended;
      await stop(lab);
      await before.assertSame(`killed at line ${step}: ${lines[step]}`);
    }
  },
);

resolvedTest(
  "programs that go past it are held as well",
  async (lab, names) => {
    names.lan.asked(); // before
    await up(lab, ...SSH_3, "-D", "default");
    await assertResolved(lab, names);
    await stop(lab);
  },
  prepareBeside,
);
