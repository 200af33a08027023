/** --nat and -N with ppp: see nat_test.ts. */
import { assert, assertEquals } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { closeServer, connected, forwarding, killAll, stop } from "./nat.ts";
import { Before, eventually } from "./running.ts";

const INSIDE = "10.88.0.0/24";
const INSIDE6 = "fd88::/64";
const NAT = ["--nat", "root@server"];
const PING = ["ping", "-c1", "-W2", "-n"];

async function works(lab: Lab, what: string): Promise<void> {
  const { from, error } = await reach(lab.client, ADDRESS.inet, 4);
  assertEquals([from, error], [ADDRESS.serverInside, undefined], what);
}

labTest(
  "--nat works over ppp, for both families, and is undone",
  async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    assertEquals(await connected(lab, [...NAT, INSIDE, INSIDE6]), "ppp0");
    await works(lab, "ppp");
    const { from, error } = await reach(lab.client, ADDRESS.inet6, 4);
    assertEquals([from, error], [ADDRESS.serverInside6, undefined]);
    assertEquals(await forwarding(lab, "all"), "0");
    await stop(lab);
    await before.assertSame("ppp");
  },
);

for (
  const [who, end, name] of [
    ["ssh", "client", /^ssh$/],
    ["the server's pppd", "server", /^pppd$/],
  ] as const
) {
  labTest(`--nat over ppp is back after kill -9 of ${who}`, async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    assert(await killAll(lab[end], name) > 0);
    await eventually(lab.client, ["pgrep", "-x", "pvpn"], 15_000);
    await eventually(lab.client, [...PING, ADDRESS.inet], 30_000);
    await works(lab, who);
    await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
    await stop(lab);
    await before.assertSame(`after kill -9 of ${who}`);
  });
}

labTest(
  "--nat over ppp is undone by the server without a client",
  async (lab) => {
    await closeServer(lab);
    const before = await Before.of(lab);
    await connected(lab, [...NAT, INSIDE]);
    await killAll(lab.client, /^(?:sh|ssh|pppd|pvpn)$/);
    const gone = "! nft list tables | grep pvpn_";
    await eventually(lab.server, ["sh", "-c", gone], 10_000);
    await stop(lab);
    await before.assertSame("after kill -9 of the client");
  },
);

labTest("ppp and ssh-3 share --nat, and the next one tidies", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  const first = await connected(lab, [...NAT, INSIDE]);
  await connected(lab, ["-t", "ssh-3", ...NAT, "203.0.113.0/24"]);
  await works(lab, "two tunnels");
  await stop(lab, first);
  const gone = "! nft list tables | grep pvpn_ppp";
  await eventually(lab.server, ["sh", "-c", gone], 10_000);
  const { from } = await reach(lab.client, ADDRESS.public, 4);
  assertEquals(from, ADDRESS.serverInside);
  await stop(lab);
  await before.assertSame("two tunnels");

  await connected(lab, [...NAT, INSIDE]);
  for (const { pid, args } of await lab.server.processes()) {
    if (/ pvpn pvpn-[0-9a-f]{32} /.test(args)) {
      await lab.server.kill(pid, "SIGKILL");
    }
  }
  await stop(lab);
  assertEquals(await forwarding(lab, "s1"), "1");
  await connected(lab, [...NAT, INSIDE]);
  await works(lab, "the next one");
  await stop(lab);
  // pppd's own, which the killed script would have removed.
  await lab.server.remove("/run/pppd2.tdb");
  await before.assertSame("after kill -9 of the script");
});

labTest("-N works over ppp", async (lab) => {
  const before = await Before.of(lab);
  const { code, stderr } = await pvpn(lab, ["-N", "root@server"]);
  assertEquals([code, stderr.match(/routing 10\.88\.0\.0\/24 through ppp0/g)], [
    0,
    ["routing 10.88.0.0/24 through ppp0"],
  ]);
  assertEquals((await reach(lab.client, ADDRESS.inet, 4)).error, undefined);
  await stop(lab);
  await before.assertSame("-N");
});
