/** A tunnel that is up, and loses what it stands on. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { killAll } from "./nat.ts";
import { Before, eventually, start } from "./running.ts";

const PING = ["ping", "-c1", "-W1", "-n"];

async function connect(lab: Lab, ...routes: string[]): Promise<void> {
  const args = ["-t", "ssh-3", "root@server", ...routes];
  const { code, stderr } = await pvpn(lab, args);
  assertEquals(code, 0, stderr);
}

/** The pids of the client's processes with a name. */
async function pidsOf(lab: Lab, name: RegExp): Promise<number[]> {
  const all = await lab.client.processes();
  return all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid);
}

labTest(
  "nothing of pvpn's is resident but sh while a tunnel is up",
  async (lab) => {
    await connect(lab, "default");
    const names = (await lab.client.processes()).map(({ comm }) => comm).sort();
    assertEquals(names, ["sh", "ssh"]);
  },
);

labTest(
  "a default route never leaks when ssh is killed, and comes back",
  async (lab) => {
    const before = await Before.of(lab);
    await connect(lab, "default");
    await lab.client.ok([...PING, ADDRESS.public]);
    const uplinks = ["c0", "c1"];
    // What a cable says to itself: ARP, neighbours, multicast groups.
    const filter = [
      "not arp and not dst net ff02::/16 and " +
      "not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137)",
    ];
    const captures = await Promise.all(
      uplinks.map((device) => capture(lab.client, device, filter)),
    );
    // Traffic all the while, of both families, whatever the tunnel does.
    const flood = (address: string) =>
      lab.client.spawn(["ping", "-n", "-q", "-i", "0.02", "-W1", address]);
    const floods = [flood(ADDRESS.public), flood(ADDRESS.public6)];
    for (let death = 0; death < 2; death++) {
      assertEquals(await killAll(lab.client, /^ssh$/), 1);
      await eventually(lab.client, [...PING, ADDRESS.public], 15_000);
    }
    await eventually(lab.client, [...PING, ADDRESS.public6], 15_000);
    for (const child of floods) child.kill("SIGKILL");
    await Promise.all(floods.map((child) => child.output()));
    const packets = (await Promise.all(captures.map((c) => c.stop()))).flat();
    const ssh =
      / IP 10\.77\.0\.(?:2\.\d+ > 10\.77\.0\.1\.22|1\.22 > 10\.77\.0\.2\.\d+): /;
    assert(packets.some((line) => ssh.test(line)), "the capture is empty");
    assertEquals(packets.filter((line) => !ssh.test(line)), []);
    const list = await pvpn(lab, ["-l"]);
    assertMatch(list.stdout, /^tun0 +ssh-3 +up /m);
    assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
    await before.assertSame("after two deaths of ssh");
  },
);

labTest(
  "routed networks answer unreachable, not the uplink, while ssh is gone",
  async (lab) => {
    const before = await Before.of(lab);
    await connect(lab, "10.88.0.0/24");
    await lab.stopSshd();
    const seen = await capture(lab.client, "c0", ["net", "10.88.0.0/24"]);
    await killAll(lab.client, /^ssh$/);
    for (let i = 0; i < 3; i++) {
      assert((await lab.client.run([...PING, ADDRESS.inet])).code !== 0);
    }
    assertEquals(await seen.stop(), []);
    await lab.startSshd();
    await eventually(lab.client, [...PING, ADDRESS.inet], 40_000);
    await pvpn(lab, ["-S"]);
    await before.assertSame("after sshd was stopped and started");
  },
);

labTest("a tunnel comes back when sshd was gone for 20 s", async (lab) => {
  const before = await Before.of(lab);
  await connect(lab, "default");
  await lab.stopSshd();
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const down = await pvpn(lab, ["-l"]);
  assertMatch(down.stdout, /^tun0 +ssh-3 +reconnecting /m);
  assertMatch(down.stdout, /^tun0: no connection to .*refused/m);
  await lab.startSshd();
  await eventually(lab.client, [...PING, ADDRESS.public], 40_000);
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
  await before.assertSame("after 20 s without sshd");
});

labTest("pvpn -S undoes all after kill -9 of everything", async (lab) => {
  const before = await Before.of(lab);
  for (const route of ["default", "10.0.0.0/8"]) {
    await connect(lab, route);
    for (const name of [/^(?:sh|ssh)$/, /^pvpn$/]) {
      await killAll(lab.client, name);
    }
    assertEquals((await pvpn(lab, ["-S"])).stdout, "tun0 disconnected\n");
    await before.assertSame(`after kill -9 of everything, ${route}`);
  }
});

labTest(
  "the server undoes its side when the keeper alone is killed",
  async (lab) => {
    const before = await Before.of(lab);
    await connect(lab, "default");
    await killAll(lab.client, /^sh$/);
    // ssh has lost its input: the server ends the session, and that ends ssh.
    await eventually(lab.client, ["sh", "-c", "! pgrep -x ssh"], 5000);
    assert(
      (await lab.client.run([...PING, ADDRESS.public])).code !== 0,
      "leaks",
    );
    assertEquals((await pvpn(lab, ["-S", "tun0"])).code, 0);
    await before.assertSame("after the keeper was killed");
  },
);

labTest("pvpn -S stops a tunnel that is reconnecting", async (lab) => {
  const before = await Before.of(lab);
  await connect(lab, "default");
  await lab.stopSshd();
  await killAll(lab.client, /^ssh$/);
  await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
  const { code, stdout, stderr } = await pvpn(lab, ["-S"]);
  assertEquals([code, stdout, stderr], [0, "tun0 disconnected\n", ""]);
  await lab.startSshd();
  await before.assertSame("after a stop in the middle of reconnecting");
});

labTest(
  "pvpn -S undoes a tunnel whose reconnecting pvpn was killed",
  async (lab) => {
    const before = await Before.of(lab);
    await connect(lab, "default");
    await lab.stopSshd();
    await killAll(lab.client, /^ssh$/);
    await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
    await killAll(lab.client, /^pvpn$/);
    assert(
      (await lab.client.run([...PING, ADDRESS.public])).code !== 0,
      "leaks",
    );
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await lab.startSshd();
    await before.assertSame("after the reconnecting pvpn was killed");
  },
);

labTest("a pid that somebody else has now is never signalled", async (lab) => {
  await connect(lab, "10.88.0.0/24");
  const innocent = lab.client.spawn(["sleep", "100"]);
  const pid = lab.client.pidOf(innocent);
  await killAll(lab.client, /^(?:sh|ssh)$/);
  // As if the pid of the keeper had come around.
  const path = "/run/pvpn/tun0.json";
  const state = JSON.parse(await lab.client.readFile(path));
  const step = state.undo.find((s: { kind: string }) => s.kind === "process");
  step.pid = pid;
  state.owner = { pid, start: step.start };
  await lab.client.writeFile(path, JSON.stringify(state));
  assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 +ssh-3 +dead /m);
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
  assert(await lab.client.kill(pid, "SIGKILL"), "it was ended");
  await innocent.output();
});

labTest(
  "pvpn -f reconnects by itself and cleans up at SIGTERM",
  async (lab) => {
    const before = await Before.of(lab);
    const running = start(lab, ["-f", "-t", "ssh-3", "root@server", "default"]);
    assertEquals(await running.firstOutput, "tun0 connected");
    await killAll(lab.client, /^ssh$/);
    await eventually(lab.client, ["pgrep", "-x", "ssh"], 10_000);
    await eventually(lab.client, [...PING, ADDRESS.public], 15_000);
    await running.find(/"tun0" is connected again/);
    await running.kill("SIGTERM");
    const { code, stderr } = await running.ended;
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /"tun0" lost its connection/);
    await before.assertSame("after the foreground was ended");
  },
);

labTest(
  "nothing goes on, and -S cleans up, after kill -9 of pvpn -f",
  async (lab) => {
    const before = await Before.of(lab);
    const running = start(lab, ["-f", "-t", "ssh-3", "root@server", "default"]);
    await running.firstOutput;
    await running.kill("SIGKILL");
    await eventually(lab.client, ["sh", "-c", "! pgrep -x ssh"], 5000);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await running.ended;
    await before.assertSame("after the foreground was killed");
  },
);

labTest(
  "nobody but root can attach to a tunnel device that ssh has lost",
  async (lab) => {
    await connect(lab, "default");
    await lab.stopSshd();
    await killAll(lab.client, /^ssh$/);
    // TUNSETIFF of tun0, IFF_TUN | IFF_NO_PI, as tun(4) users do.
    const attach =
      `use Fcntl; sysopen(my $f, "/dev/net/tun", O_RDWR) or die "open: $!";
    my $r = pack("a16 S x22", "tun0", 0x1001);
    ioctl($f, 0x400454ca, $r) or die "attach: $!"; print "attached";`;
    const nobody = [
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
    ];
    const drop = ["--inh-caps=-all", "--bounding-set=-all", "--"];
    const { code, stdout, stderr } = await lab.client.run(
      [...nobody, ...drop, "perl", "-e", attach],
    );
    assertEquals(stdout, "");
    assertMatch(stderr, /^attach: Operation not permitted/);
    assert(code !== 0);
    await pvpn(lab, ["-S"]);
  },
  { openTun: true },
);

labTest(
  "a ^C in the terminal does not open a tunnel that reconnects",
  async (lab) => {
    await connect(lab, "default");
    await lab.stopSshd();
    await killAll(lab.client, /^ssh$/);
    await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
    const [pid = 0] = await pidsOf(lab, /^pvpn$/);
    for (const signal of ["SIGINT", "SIGHUP"] as const) {
      await lab.client.kill(pid, signal);
    }
    assert(
      (await lab.client.run([...PING, ADDRESS.public])).code !== 0,
      "leaks",
    );
    assertMatch((await pvpn(lab, ["-l"])).stdout, /^tun0 /m);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
  },
);

labTest(
  "a dead tunnel stays closed when another one is started",
  async (lab) => {
    const before = await Before.of(lab);
    await connect(lab, "default");
    for (const name of [/^(?:sh|ssh)$/, /^pvpn$/]) {
      await killAll(lab.client, name);
    }
    const other = ["-t", "ssh-3", "--mtu=1400", "root@server", "default"];
    const again = await pvpn(lab, other);
    assertEquals(again.code, 7);
    assertMatch(
      again.stderr,
      /"tun0" has died, and holds its routes closed.*pvpn -S tun0/,
    );
    assert(
      (await lab.client.run([...PING, ADDRESS.public])).code !== 0,
      "leaks",
    );
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await before.assertSame("after a dead tunnel was stopped");
  },
);
