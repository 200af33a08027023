/** What the server does beside the tunnel, with ssh-gso: its pump's script. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { assertRight, namesTest } from "./names.ts";
import { closeServer, connected, forwarding, killAll, stop } from "./nat.ts";
import { Before, eventually } from "./running.ts";

const INSIDE = "10.88.0.0/24";
const INSIDE6 = "fd88::/64";
const HOST = ["-t", "ssh-gso", "root@server"];
const PING = ["ping", "-c1", "-W2", "-n"];

async function works(lab: Lab, what: string): Promise<void> {
  for (
    const [to, from] of [
      [ADDRESS.inet, ADDRESS.serverInside],
      [ADDRESS.inet6, ADDRESS.serverInside6],
    ] as const
  ) {
    assertEquals(await reach(lab.client, to, 4), { from }, what);
  }
}

const DEATHS: Record<string, (lab: Lab) => Promise<number>> = {
  "nothing": () => Promise.resolve(1),
  "ssh": ({ client }) => killAll(client, /^ssh$/),
  "the pump there": ({ server }) => killAll(server, /^pvpn-pump/),
};

for (const [who, kill] of Object.entries(DEATHS)) {
  labTest(
    `--nat over ssh-gso is undone after kill -9 of ${who}`,
    async (lab) => {
      await closeServer(lab);
      const before = await Before.of(lab);
      await connected(lab, ["--nat", ...HOST, INSIDE, INSIDE6]);
      await works(lab, "at first");
      assert(await kill(lab) > 0);
      if (who !== "nothing") {
        await eventually(lab.client, ["pgrep", "-x", "pvpn"], 15_000);
        await eventually(lab.client, [...PING, ADDRESS.inet], 30_000);
        await works(lab, `after kill -9 of ${who}`);
        await eventually(lab.client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
      }
      await stop(lab);
      await before.assertSame(who);
    },
  );
}

labTest("--nat over ssh-gso is undone by the server alone", async (lab) => {
  await closeServer(lab);
  const before = await Before.of(lab);
  await connected(lab, ["--nat", ...HOST, INSIDE, INSIDE6]);
  await killAll(lab.client, /^(?:sh|ssh|pvpn.*)$/);
  const gone = "! nft list tables | grep pvpn_";
  await eventually(lab.server, ["sh", "-c", gone], 10_000);
  assertEquals(await forwarding(lab, "s1"), "0");
  await stop(lab);
  await before.assertSame("after kill -9 of the client");
});

labTest("-N works over ssh-gso", async (lab) => {
  const before = await Before.of(lab);
  const { code, stderr } = await pvpn(lab, ["-N", ...HOST]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /routing 10\.88\.0\.0\/24 through tun0/);
  assertEquals((await reach(lab.client, ADDRESS.inet, 4)).error, undefined);
  await stop(lab);
  await before.assertSame("-N");
});

namesTest("-D asks the server's resolver over ssh-gso", async (lab, names) => {
  const { code, stderr } = await pvpn(lab, ["-D", ...HOST, "10.99.0.0/24"]);
  assertEquals(code, 0, stderr);
  await assertRight(lab, names);
  assertEquals(names.lan.asked(), []);
  await stop(lab);
});
