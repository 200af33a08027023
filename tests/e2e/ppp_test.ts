/**
 * `ppp`, against real pppds. Where this machine's kernel has no PPP, these
 * run in the virtual machine (tests/lab/vm.sh).
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { Before, eventually, start } from "./running.ts";

const PING = ["ping", "-c1", "-W2", "-n"];
const HOST = "root@server";

async function connect(lab: Lab, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await pvpn(lab, args);
  assertEquals(code, 0, stderr);
  assertEquals(stderr, "");
  return stdout;
}

async function killAll(node: Node, name: RegExp): Promise<number> {
  const all = await node.processes();
  const pids = all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => node.kill(pid, "SIGKILL")));
  return pids.length;
}

/** Proves that a run fails, says why, and has changed nothing. */
async function refused(
  lab: Lab,
  code: number,
  error: RegExp,
  hint: RegExp,
): Promise<void> {
  const before = await Before.of(lab);
  const result = await pvpn(lab, [HOST, "10.88.0.0/24"]);
  assertEquals(result.code, code, result.stderr);
  assertMatch(result.stderr, error);
  assertMatch(result.stderr, hint);
  await before.assertSame(String(error));
}

labTest("pvpn HOST NETWORK and default carry packets over ppp", async (lab) => {
  const before = await Before.of(lab);
  for (
    const [route, to] of [["10.88.0.0/24", ADDRESS.inet], [
      "default",
      ADDRESS.public,
    ]] as const
  ) {
    assertEquals(await connect(lab, HOST, route), "ppp0 connected\n");
    await lab.client.ok([...PING, to]);
    assertMatch(await lab.client.ok(["ip", "route", "get", to]), / dev ppp0 /);
    const way = [
      "ip",
      "route",
      "get",
      ADDRESS.server,
      "ipproto",
      "tcp",
      "dport",
      "22",
    ];
    assertMatch(await lab.client.ok(way), / dev c0 /);
    assertMatch((await pvpn(lab, ["-l"])).stdout, /^ppp0 +ppp +up /m);
    assertEquals(
      (await pvpn(lab, ["-S", "ppp0"])).stdout,
      "ppp0 disconnected\n",
    );
    await before.assertSame(route);
  }
  assertEquals(await lab.logins(), 2);
});

labTest("-i and --mtu rule both ends of ppp", async (lab) => {
  const before = await Before.of(lab);
  await connect(lab, "-i", "10.9.8.1:10.9.8.2", "--mtu", "1400", HOST);
  for (
    const [node, ip] of [[lab.client, "10.9.8.1 peer 10.9.8.2"], [
      lab.server,
      "10.9.8.2 peer 10.9.8.1",
    ]] as const
  ) {
    const shown = await node.ok(["ip", "address", "show", "dev", "ppp0"]);
    assertMatch(shown, / mtu 1400 /);
    assert(shown.includes(` inet ${ip}/32 `), shown);
  }
  await lab.client.ok([...PING, "-M", "do", "-s", "1372", "10.9.8.2"]);
  await pvpn(lab, ["-S"]);
  await before.assertSame("-i and --mtu");
});

labTest(
  "a pair that collides on the server is left for another",
  async (lab) => {
    const nets = ["route", "add", "unreachable", "10.0.0.0/8"];
    await lab.server.ok(["ip", ...nets]);
    const before = await Before.of(lab);
    await connect(lab, HOST);
    const { stdout } = await pvpn(lab, ["-l"]);
    assertMatch(stdout, /^ppp0 .* (?:172\.|192\.168\.)/m);
    await pvpn(lab, ["-S"]);
    await before.assertSame("another pair");
  },
);

labTest(
  "ppp and ssh-3 stand side by side, and stop one by one",
  async (lab) => {
    const before = await Before.of(lab);
    const started = await Promise.all([
      connect(lab, HOST, "10.88.0.0/24"),
      connect(lab, "-t", "ssh-3", HOST, "203.0.113.0/24"),
      connect(lab, HOST),
    ]);
    assertEquals(started.sort(), [
      "ppp0 connected\n",
      "ppp1 connected\n",
      "tun0 connected\n",
    ]);
    const { stdout } = await pvpn(lab, ["-l"]);
    const [, device = ""] = /^(ppp\d) .*\n +routes 10\.88/m.exec(stdout) ??
      [];
    assertEquals((await pvpn(lab, ["-S", device])).code, 0);
    await lab.client.ok([...PING, ADDRESS.public]);
    assert((await lab.client.run([...PING, ADDRESS.inet])).code !== 0);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await before.assertSame("three tunnels");
  },
);

for (
  const [who, end, name] of [
    ["ssh", "client", /^ssh$/],
    ["pppd here", "client", /^pppd$/],
    ["pppd there", "server", /^pppd$/],
  ] as const
) {
  labTest(
    `ppp comes back after kill -9 of ${who}, and leaks nothing`,
    async (lab) => {
      const before = await Before.of(lab);
      await connect(lab, HOST, "default");
      const filter = [
        "not arp and not icmp6 and not dst net ff02::/16 and not port 22",
      ];
      const seen = await capture(lab.client, "c0", filter);
      const flood = lab.client.spawn([
        "ping",
        "-q",
        "-n",
        "-i",
        "0.1",
        ADDRESS.public,
      ]);
      assert(await killAll(lab[end], name) > 0);
      await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
      await eventually(lab.client, [...PING, ADDRESS.public], 30_000);
      flood.kill("SIGKILL");
      await flood.output();
      assertEquals(await seen.stop(), []);
      await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
      assertEquals((await pvpn(lab, ["-S"])).code, 0);
      await before.assertSame(`after kill -9 of ${who}`);
    },
  );
}

labTest("pvpn -S undoes ppp after kill -9 of everything", async (lab) => {
  const before = await Before.of(lab);
  await connect(lab, HOST, "default");
  await killAll(lab.client, /^(?:sh|ssh|pppd|pvpn)$/);
  assert((await lab.client.run([...PING, ADDRESS.public])).code !== 0, "leaks");
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
  await before.assertSame("after kill -9 of everything");
});

labTest("pvpn -S finds a pppd whose keeper was killed", async (lab) => {
  const before = await Before.of(lab);
  await connect(lab, HOST, "10.88.0.0/24");
  await killAll(lab.client, /^sh$/);
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
  await before.assertSame("after the keeper was killed");
});

labTest("pvpn leaves nothing of ppp when SIGINT cuts it", async (lab) => {
  const args = ["-d", HOST, "default"];
  const whole = await start(lab, args).ended;
  assertEquals(whole.code, 0, whole.stderr);
  await pvpn(lab, ["-S"]);
  const before = await Before.of(lab);
  const lines = whole.stderr.split("\n");
  const steps = lines.flatMap((line, n) =>
    /^\+ (?!server)|^Using interface|^Authenticated|^local/.test(line)
      ? [n]
      : []
  );
  for (const step of steps) {
    const running = start(lab, args);
    await running.line(step);
    await running.kill("SIGINT");
    const { code } = await running.ended;
    if (code === 0) await pvpn(lab, ["-S"]);
    await before.assertSame(`cut at line ${step}: ${lines[step]}`);
  }
});

labTest(
  "ppp says what is missing, on either end, and the way out",
  async (lab) => {
    const hide = async (node: Node, path: string) => {
      await node.ok(["mount", "--bind", "/dev/null", path]);
      return () => node.ok(["umount", path]);
    };
    const there = await hide(lab.server, "/usr/sbin/pppd");
    await refused(
      lab,
      6,
      /pppd on the server .*not installed|is not allowed/,
      /-t ssh-3/,
    );
    await there();
    const here = await hide(lab.client, "/usr/sbin/pppd");
    await refused(
      lab,
      4,
      /needs pppd on this machine/,
      /apt install ppp.*-t ssh-3/,
    );
    await here();
  },
);

labTest(
  "ppp holds a slow, lossy link, and outlives a cut of it",
  async (lab) => {
    const before = await Before.of(lab);
    const netem = (change: string, ...how: string[]) =>
      lab.client.ok(["tc", "qdisc", change, "dev", "c0", "root", ...how]);
    await netem("add", "netem", "delay", "100ms", "loss", "1%");
    await connect(lab, HOST, "10.88.0.0/24");
    const ping = await lab.client.ok([
      "ping",
      "-q",
      "-c20",
      "-i0.2",
      ADDRESS.inet,
    ]);
    assertMatch(ping, / 0% packet loss|20 received/);
    await netem("change", "netem", "loss", "100%");
    await new Promise((resolve) => setTimeout(resolve, 45_000));
    await netem("change", "netem", "delay", "100ms", "loss", "1%");
    await eventually(lab.client, [...PING, ADDRESS.inet], 60_000);
    await netem("delete");
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await before.assertSame("after a cut of the cable");
  },
);
