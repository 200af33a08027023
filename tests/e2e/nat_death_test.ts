/** --nat, when what it stands on dies; and several at once. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import {
  closeServer,
  connected,
  forwarding,
  hide,
  killAll,
  NAT,
  stop,
  useIptables,
} from "./nat.ts";
import { Before, eventually } from "./running.ts";

const INSIDE = "10.88.0.0/24";
const PUBLIC = "203.0.113.0/24";
const PING = ["ping", "-c1", "-W1", "-n"];

/** Kills the server's processes of sessions that are called so. */
async function killSessions(lab: Lab, name: RegExp): Promise<number> {
  const all = await lab.server.processes();
  const pids = all.filter(({ args }) => name.test(args)).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => lab.server.kill(pid, "SIGKILL")));
  return pids.length;
}

/** The server's script is a sh with a token among its words. */
const SCRIPT = / pvpn pvpn-[0-9a-f]{32} /;

for (
  const [who, kill] of [
    ["ssh", (lab) => killAll(lab.client, /^ssh$/)],
    ["the server's sshd", (lab) => killSessions(lab, /^sshd: root@notty/)],
  ] as [string, (lab: Lab) => Promise<number>][]
) {
  labTest(`--nat is back after kill -9 of ${who}, and undone`, async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    for (let death = 0; death < 2; death++) {
      assert(await kill(lab) > 0);
      await eventually(lab.client, ["pgrep", "-x", "pvpn"], 15_000);
      await eventually(lab.client, [...PING, ADDRESS.inet], 15_000);
    }
    await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 5000);
    assertEquals(await forwarding(lab, "s1"), "1");
    await stop(lab);
    await before.assertSame(`after kill -9 of ${who}`);
  });
}

labTest(
  "--nat is undone by the server after kill -9 of the client",
  async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    await killAll(lab.client, /^(?:sh|ssh|pvpn)$/);
    const gone = "! nft list tables | grep pvpn_";
    await eventually(lab.server, ["sh", "-c", gone], 5000);
    await stop(lab);
    await before.assertSame("after kill -9 of the client");
  },
);

labTest(
  "--nat of a reconnect outlives the session before, undone late",
  async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    // The first session's script stands still while the next one is set up.
    const pids = (await lab.server.processes())
      .filter(({ args }) => SCRIPT.test(args)).map(({ pid }) => pid);
    assertEquals(pids.length, 1);
    await lab.server.kill(pids[0]!, "SIGSTOP");
    await killAll(lab.client, /^ssh$/);
    await eventually(lab.client, [...PING, ADDRESS.inet], 15_000);
    await lab.server.kill(pids[0]!, "SIGCONT");
    await eventually(lab.server, ["sh", "-c", `! kill -0 ${pids[0]}`], 5000);
    assertEquals((await reach(lab.client, ADDRESS.inet)).from, "10.88.0.1");
    assertEquals(await forwarding(lab, "s1"), "1");
    await stop(lab);
    await before.assertSame("after a session that ended late");
  },
);

labTest(
  "the next --nat tidies after kill -9 of the server's script",
  async (lab) => {
    await closeServer(lab);
    // A firewall that it opens, too.
    await useIptables(lab.server, "iptables");
    await lab.server.ok(["iptables", "-P", "FORWARD", "DROP"]);
    for (const tool of ["nft", "iptables"]) {
      const before = await Before.of(lab);
      const show = tool === "nft"
        ? undefined
        : await hide(lab.server, "/usr/sbin/nft");
      await connected(lab, [...NAT, INSIDE]);
      assertEquals(await killSessions(lab, SCRIPT), 1);
      await stop(lab);
      // Nobody was left to do it.
      assertEquals(await forwarding(lab, "s1"), "1");
      // What is left is not taken for somebody else's forwarding.
      await connected(lab, [...NAT, PUBLIC]);
      assert((await reach(lab.client, ADDRESS.public)).from);
      await show?.();
      await stop(lab);
      await before.assertSame(`kill -9 of the script, ${tool}`);
    }
  },
);

for (const first of [0, 1]) {
  labTest(
    `two tunnels share --nat, tunnel ${first} stops first`,
    async (lab) => {
      await closeServer(lab);
      const before = await Before.of(lab);
      const routes = [INSIDE, PUBLIC];
      const to = [ADDRESS.inet, ADDRESS.public];
      const devices: string[] = [];
      for (const route of routes) {
        devices.push(await connected(lab, [...NAT, route]));
      }
      for (const address of to) assert((await reach(lab.client, address)).from);
      await stop(lab, devices[first]!);
      const gone = `! nft list tables | grep pvpn_${devices[first]}`;
      await eventually(lab.server, ["sh", "-c", gone], 5000);
      assert((await reach(lab.client, to[1 - first]!)).from);
      await stop(lab, devices[1 - first]!);
      await before.assertSame(`tunnel ${first} first`);
    },
  );
}

labTest("the last --nat tidies what one before it could not", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const first = await connected(lab, [...NAT, INSIDE]);
  assertEquals(await killSessions(lab, SCRIPT), 1);
  await connected(lab, [...NAT, PUBLIC]);
  await stop(lab, first);
  assert((await reach(lab.client, ADDRESS.public)).from);
  await stop(lab);
  await before.assertSame("after the last tunnel");
});

labTest("many --nat come and go at the same time", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  for (let round = 0; round < 3; round++) {
    const started = await Promise.all(
      [0, 1, 2, 3].map((n) =>
        pvpn(lab, [...NAT, n === 0 ? INSIDE : `192.0.2.${n}`])
      ),
    );
    for (const { code, stderr } of started) {
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
    }
    assert((await reach(lab.client, ADDRESS.inet)).from);
    // Three end while another one starts: forwarding stays.
    const list = (await pvpn(lab, ["-l"])).stdout;
    const others = [...list.matchAll(/^(tun\d).* 192\.0\.2\.\d$/gm)];
    await Promise.all([
      ...others.map(([, device]) => stop(lab, device!)),
      connected(lab, [...NAT, "192.0.2.9"]),
    ]);
    assert((await reach(lab.client, ADDRESS.inet)).from);
    await stop(lab);
    await before.assertSame(`round ${round}`);
  }
});

labTest(
  "--nat is undone where somebody has loaded the firewall anew",
  async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    await lab.server.ok(["nft", "flush", "ruleset"]);
    await stop(lab);
    await before.assertSame("after a flush");
    assertMatch(await lab.server.ok(["nft", "list", "ruleset"]), /^$/);
  },
);
