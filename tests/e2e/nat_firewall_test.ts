/** --nat beside other firewalls, and with iptables where there is no nft. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { closeServer, connected, hide, NAT, stop, useIptables } from "./nat.ts";
import { Before } from "./running.ts";

const INSIDE = "10.88.0.0/24";
const PING = ["ping", "-c1", "-W1", "-n"];
const SAVE = "iptables-nft-save; iptables-legacy-save";

/** The rules of both iptables, without their counters and times. */
async function iptables({ server }: Lab): Promise<string[]> {
  const text = await server.ok(["sh", "-c", SAVE]);
  return text.split("\n").filter((line) => !line.startsWith("#"))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ""));
}

/**
 * Proves that packets get through, TCP's with a fitting MSS, and that both
 * ends are as before when it is over.
 *
 * @param hidden What has to be shown again for the server to be looked at.
 */
async function works(
  lab: Lab,
  what: string,
  hide: () => Promise<(() => unknown)[]> = () => Promise.resolve([]),
): Promise<void> {
  const [before, rules] = [await Before.of(lab), await iptables(lab)];
  const hidden = await hide();
  await connected(lab, [...NAT, "--mtu", "9000", INSIDE]);
  const syn = "tcp[tcpflags] & tcp-syn != 0 and dst port 5200";
  const seen = await capture(lab.inet, "i0", [syn]);
  const { from, error } = await reach(lab.client, ADDRESS.inet);
  assertEquals([from, error], [ADDRESS.serverInside, undefined], what);
  assertMatch((await seen.stop()).join(), /mss 1460,/, what);
  assert(await reachUdp(lab.client, ADDRESS.inet), what);
  for (const show of hidden) await show();
  await stop(lab);
  await before.assertSame(what);
  assertEquals(await iptables(lab), rules, what);
}

// Chains as others make them: each of these lets nothing through.
const FIREWALLS: Readonly<Record<string, string>> = {
  "a policy of nft": `nft 'table inet fw {
    chain forward { type filter hook forward priority 0; policy drop; }
  }'`,
  "firewalld": `nft 'table inet firewalld {
    chain filter_FWD_public {
      return
    }
    chain filter_FORWARD {
      type filter hook forward priority filter + 10; policy accept;
      ct state { established, related } accept
      jump filter_FWD_public
      reject with icmpx admin-prohibited
    }
  }'`,
  "Docker": "iptables-nft -P FORWARD DROP && iptables-nft -N DOCKER-USER &&" +
    "iptables-nft -A FORWARD -j DOCKER-USER",
  "ufw": "iptables-nft -P FORWARD DROP && iptables-nft -N ufw-reject && " +
    "iptables-nft -A ufw-reject -j REJECT && " +
    "iptables-nft -A FORWARD -j ufw-reject",
  "iptables of old": "iptables-legacy -P FORWARD DROP",
  "rules that reject, of iptables of old":
    "iptables-legacy -A FORWARD -j REJECT",
  "three firewalls at once": `nft 'table ip a {
    chain f { type filter hook forward priority -300; policy drop; }
  }' &&
    iptables-nft -P FORWARD DROP && iptables-legacy -P FORWARD DROP`,
};

for (const [name, make] of Object.entries(FIREWALLS)) {
  labTest(
    `--nat gets through ${name}, and leaves it as it was`,
    async (lab) => {
      await closeServer(lab);
      await lab.server.ok(["sh", "-c", make]);
      // It does drop: without --nat, on a server that forwards.
      await lab.server.ok(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
      const seen = await capture(lab.inet, "i0", ["port", "5200"]);
      await connected(lab, [...NAT.slice(1), INSIDE]);
      assert((await reach(lab.client, ADDRESS.inet, 1)).error);
      assertEquals(await seen.stop(), []);
      await stop(lab);
      for (const forward of [1, 0]) {
        const set = `net.ipv4.ip_forward=${forward}`;
        await lab.server.ok(["sysctl", "-qw", set]);
        await works(lab, `${name}, ${set}`);
      }
    },
  );
}

labTest(
  "--nat opens a firewall for its tunnel only, and for answers",
  async (lab) => {
    const { server, inet, client } = lab;
    await closeServer(lab);
    await inet.ok(["ip", "route", "add", "10.99.9.0/24", "via", "10.88.0.1"]);
    const drop = "sysctl -qw net.ipv4.ip_forward=1; iptables -P FORWARD DROP";
    await server.ok(["sh", "-c", drop]);
    await connected(lab, [...NAT, "-i", "10.99.9.1:10.99.9.2", INSIDE]);
    const seen = await capture(client, "tun0", ["src", "host", ADDRESS.inet]);
    await inet.run([...PING, "10.99.9.1"]);
    assertEquals(await seen.stop(), []);
    assertEquals(
      (await reach(client, ADDRESS.inet)).from,
      ADDRESS.serverInside,
    );
    await stop(lab);
  },
);

labTest("--nat leaves chains alone that drop nothing", async (lab) => {
  await closeServer(lab);
  await lab.server.ok([
    "nft",
    `table inet counting {
    chain forward { type filter hook forward priority 0; counter accept; }
  }`,
  ]);
  await lab.server.ok(["iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"]);
  // Where nft adds a rule to a table of iptables', that cannot be read by it.
  const mangle = "-t mangle -A FORWARD -m conntrack --ctstate INVALID -j DROP";
  await lab.server.ok(["iptables-nft", ...mangle.split(" ")]);
  const list = "nft list table inet counting; iptables -S FORWARD && " +
    "iptables-nft -t mangle -S FORWARD";
  const rules = await lab.server.ok(["sh", "-c", list]);
  await connected(lab, [...NAT, INSIDE]);
  assertEquals(await lab.server.ok(["sh", "-c", list]), rules);
  await stop(lab);
});

for (const kind of ["nft", "legacy"]) {
  const name = `iptables-${kind}`;
  labTest(`--nat works with ${name} alone`, async (lab) => {
    const { server } = lab;
    await closeServer(lab);
    await useIptables(server, name);
    const link = ["iptables", "iptables-save"].map((program) =>
      `ln -sf /usr/sbin/${program.replace("iptables", name)} ` +
      `/etc/alternatives/${program}`
    );
    await server.ok(["sh", "-c", link.join(" && ")]);
    const others = ["nft", ...kind === "legacy" ? ["xtables-nft-multi"] : []];
    for (const policy of ["ACCEPT", "DROP"]) {
      await server.ok([name, "-P", "FORWARD", policy]);
      await works(
        lab,
        `${name}, ${policy}`,
        () => Promise.all(others.map((o) => hide(server, `/usr/sbin/${o}`))),
      );
    }
    // Its guard: see nat_test.ts for that of nft, and that this can fail.
    await server.ok([name, "-P", "FORWARD", "ACCEPT"]);
    const hidden = await hide(server, "/usr/sbin/nft");
    await lab.jump.ok(["ip", "route", "add", INSIDE, "via", "10.77.2.1"]);
    const neighbour = ["src", "host", "10.77.2.2"];
    await connected(lab, [...NAT, INSIDE]);
    const seen = await capture(lab.inet, "i0", neighbour);
    await lab.jump.run([...PING, ADDRESS.inet]);
    assertEquals(await seen.stop(), []);
    await hidden();
    await stop(lab);
  });
}
