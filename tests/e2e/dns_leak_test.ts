/** Names, while a tunnel is made, broken, cut and ended: none leaves in clear. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import {
  Asking,
  assertRight,
  CLIENT_CONF,
  namesTest,
  RESOLVER,
  SERVER_CONF,
  Uplinks,
} from "./names.ts";
import { Before, eventually, start } from "./running.ts";

const CONF = "/etc/resolv.conf";
const DIG = ["dig", "+tries=1", "+time=1", "www.corp.test"];

async function up(lab: Lab, ...args: string[]): Promise<void> {
  const argv = ["-t", "ssh-3", "root@server", ...args];
  const { code, stderr } = await pvpn(lab, argv);
  assertEquals(code, 0, stderr);
}

const killSsh = (lab: Lab) => lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);

for (const route of ["default", "10.99.0.0/24"]) {
  namesTest(
    `no name leaves in clear while ssh is killed, with ${route}`,
    async (lab, names) => {
      await up(lab, "-D", route);
      await assertRight(lab, names);
      const uplinks = await Uplinks.watch(lab);
      const asking = Asking.start(lab);
      for (let death = 0; death < 2; death++) {
        await killSsh(lab);
        await eventually(lab.client, DIG, 15_000);
      }
      // As a DHCP client does, when the cable is put into another socket.
      await lab.client.ok([
        "ip",
        "route",
        "replace",
        "default",
        "via",
        "10.77.0.1",
        "metric",
        "50",
      ]);
      await lab.client.ok([
        "ip",
        "route",
        "delete",
        "default",
        "via",
        "10.77.0.1",
        "metric",
        "0",
      ]);
      await eventually(lab.client, DIG, 15_000);
      await lab.client.ok([
        "ip",
        "route",
        "replace",
        "default",
        "via",
        "10.77.0.1",
      ]);
      await lab.client.ok([
        "ip",
        "route",
        "delete",
        "default",
        "via",
        "10.77.0.1",
        "metric",
        "50",
      ]);
      await eventually(lab.client, DIG, 15_000);
      await asking.stop();
      await uplinks.assertOnlySsh("while ssh was killed twice");
      names.assertTunnelled("after two deaths of ssh");
      await pvpn(lab, ["-S"]);
    },
  );
}

namesTest(
  "no name leaves in clear while the server is away, or all is killed",
  async (lab, names) => {
    await up(lab, "-D", "default");
    const uplinks = await Uplinks.watch(lab);
    const asking = Asking.start(lab);
    await lab.stopSshd();
    for (let i = 0; i < 5; i++) {
      assert((await lab.client.run(DIG)).code !== 0);
    }
    await lab.startSshd();
    await eventually(lab.client, DIG, 40_000);
    for (const name of ["sh", "ssh", "pvpn"]) {
      // The lab's own shell is among them, and is started again.
      await lab.client.run(["pkill", "-KILL", "-x", name]);
    }
    await asking.stop();
    const again = Asking.start(lab);
    for (let i = 0; i < 3; i++) {
      assert((await lab.client.run(DIG)).code !== 0);
    }
    await again.stop();
    await uplinks.assertOnlySsh("while nobody was there");
    assertEquals(names.lan.asked(), []);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
  },
);

namesTest(
  "no name leaves in clear from the first rule to the last",
  async (lab, names) => {
    const uplink = await capture(lab.client, "c0", ["port", "53"]);
    const asking = Asking.start(lab);
    const argv = ["-d", "-t", "ssh-3", "root@server", "-D", "default"];
    const running = start(lab, argv);
    // What is run next is run when the other ways are closed.
    const nft = await running.find(/^\+ nft -f - /);
    await running.find(/^\+ (?!server)/, nft + 1);
    const closed = new Date();
    await running.ended;
    await eventually(lab.client, DIG, 15_000);
    await asking.stop();
    const packets = await uplink.stop();
    assert(packets.length > 0, "nothing was asked before");
    assertEquals(packets.filter((line) => timeOf(line) > closed), []);
    assert(names.server.asked().includes("www.corp.test"));
    names.lan.asked();
    await pvpn(lab, ["-S"]);
  },
);

/** When tcpdump saw a packet: in the hour that has just been, or is. */
function timeOf(line: string): Date {
  const [, h, m, s, ms] = /^(\d+):(\d+):(\d+)\.(\d{3})/.exec(line) ?? [];
  const time = new Date();
  time.setHours(Number(h), Number(m), Number(s), Number(ms));
  return time;
}

namesTest(
  "other resolvers of the server's are used when it is back",
  async (lab, names) => {
    await lab.server.writeFile(
      CONF,
      "nameserver 10.88.0.54\nsearch lab.test\n",
    );
    await up(lab, "-D", "10.99.0.0/24");
    assertMatch(await lab.client.readFile(CONF), /^nameserver 10\.88\.0\.54$/m);
    await lab.server.writeFile(CONF, SERVER_CONF);
    const uplinks = await Uplinks.watch(lab);
    const asking = Asking.start(lab);
    await killSsh(lab);
    await eventually(lab.client, DIG, 15_000);
    await asking.stop();
    await uplinks.assertOnlySsh("while the resolver changed");
    await assertRight(lab, names);
    // It knows only itself for a moment: what was in use stays.
    await lab.server.writeFile(CONF, "nameserver 127.0.0.1\n");
    await killSsh(lab);
    await eventually(lab.client, DIG, 15_000);
    await assertRight(lab, names, "www.lab.test");
    await lab.server.writeFile(CONF, SERVER_CONF);
    await pvpn(lab, ["-S"]);
  },
);

namesTest(
  "with --allow-fallback, names are asked as before while it is down",
  async (lab, names) => {
    const argv = ["--allow-fallback", "-D", "default"];
    await up(lab, ...argv);
    await assertRight(lab, names);
    await lab.stopSshd();
    await eventually(lab.client, ["grep", "-q", "^# Mine", CONF], 15_000);
    await eventually(lab.client, DIG, 5000);
    assertEquals(names.lan.asked(), ["www.corp.test"]);
    await lab.startSshd();
    await eventually(lab.client, ["grep", "-q", RESOLVER, CONF], 40_000);
    await eventually(lab.client, DIG, 15_000);
    names.lan.asked();
    await assertRight(lab, names);
    await pvpn(lab, ["-S"]);
  },
);

namesTest("pvpn -S puts names back after kill -9 at any step", async (lab) => {
  const argv = ["-d", "-t", "ssh-3", "root@server", "-D", "default"];
  const { stderr, code } = await start(lab, argv).ended;
  assertEquals(code, 0, stderr);
  await pvpn(lab, ["-S"]);
  const before = await Before.of(lab);
  const lines = stderr.split("\n");
  const first = lines.findIndex((line) => line.startsWith("+ nft -f - "));
  const steps = lines.flatMap((line, number) =>
    number >= first && line.startsWith("+ ") ? [number] : []
  );
  assert(steps.length >= 4, stderr);
  for (const step of steps) {
    const running = start(lab, argv);
    await running.line(step);
    await running.kill("SIGKILL");
    await running.ended;
    const stopped = await pvpn(lab, ["-S"]);
    assertEquals(stopped.code, 0, stopped.stderr);
    await before.assertSame(`killed at line ${step}: ${lines[step]}`);
    assertEquals(await lab.client.readFile(CONF), CLIENT_CONF);
  }
});
