/** -N: the networks that the server itself reaches. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import { assertFails, way } from "./helpers.ts";
import { killAll, stop } from "./nat.ts";
import { Before, eventually } from "./running.ts";

const AUTO = ["-N", "-t", "ssh-3", "root@server"];
const PING = ["ping", "-c1", "-W1", "-n"];

/** What pvpn said, as it said it; it must work. */
async function auto(lab: Lab, ...args: string[]): Promise<string[]> {
  const { code, stderr } = await pvpn(lab, [...AUTO, ...args]);
  assertEquals(code, 0, stderr);
  return stderr.split("\n").filter(Boolean);
}

/** What the tunnel routes, and what of that it does not. */
async function routes(lab: Lab): Promise<string> {
  const { stdout } = await pvpn(lab, ["-l", "--json"]);
  const { tunnels: [{ routes, exclude }] } = JSON.parse(stdout);
  return [...routes, ...exclude.map((e: string) => `-x ${e}`)].join(" ");
}

labTest("-N routes what the server reaches, and says so first", async (lab) => {
  const before = await Before.of(lab);
  assertEquals(await auto(lab), [
    "pvpn: not routing 10.77.0.0/24: this machine has a route to 10.77.0.0/24",
    "pvpn: not routing fd77::/64: this machine has a route to fd77::/64",
    "pvpn: routing 10.77.2.0/24 through tun0",
    "pvpn: routing 10.88.0.0/24 through tun0",
    "pvpn: routing fd88::/64 through tun0",
  ]);
  assertEquals(await routes(lab), "10.77.2.0/24 10.88.0.0/24 fd88::/64");
  for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
    assertEquals((await reach(lab.client, address)).error, undefined);
  }
  assertMatch(await way(lab.client, "10.77.2.2"), /^tun0 /);
  assertMatch(await way(lab.client, ADDRESS.public), /^c0 /);
  await stop(lab);
  await before.assertSame("-N");
});

labTest("-N adds to the routes that are named", async (lab) => {
  const before = await Before.of(lab);
  assertEquals(await auto(lab, "10.88.0.0/16", "203.0.113.9"), [
    "pvpn: not routing 10.77.0.0/24: this machine has a route to 10.77.0.0/24",
    "pvpn: not routing fd77::/64: this machine has a route to fd77::/64",
    "pvpn: routing 10.77.2.0/24 through tun0",
    "pvpn: routing fd88::/64 through tun0",
  ]);
  assertEquals(
    await routes(lab),
    "10.88.0.0/16 203.0.113.9 10.77.2.0/24 fd88::/64",
  );
  await stop(lab);
  await before.assertSame("-N and routes");
});

labTest(
  "-N keeps its networks when it reconnects, and adds none",
  async (lab) => {
    const before = await Before.of(lab);
    await auto(lab);
    const chosen = await routes(lab);
    const more = ["route", "add", "10.66.0.0/16", "via", ADDRESS.inet];
    await lab.server.ok(["ip", ...more]);
    await killAll(lab.client, /^ssh$/);
    await eventually(lab.client, [...PING, ADDRESS.inet], 15_000);
    assertEquals(await routes(lab), chosen);
    await lab.server.ok(["ip", "route", "delete", "10.66.0.0/16"]);
    await stop(lab);
    await before.assertSame("-N after a reconnect");
  },
);

labTest("-N takes no server's word for what is not its own", async (lab) => {
  const { client, server } = lab;
  const via = ["via", ADDRESS.inet];
  for (
    const network of [
      ...["0.0.0.0/1", "128.0.0.0/1", "8.0.0.0/8", "198.51.100.0/24"],
      ...["169.254.0.0/16", "10.0.0.0/7", "10.66.0.0/16", "10.55.1.0/24"],
      ...["10.77.1.2", "10.77.1.0/25", "203.0.113.0/24", "127.1.0.0/16"],
    ]
  ) {
    await server.run(["ip", "route", "add", network, ...via]);
  }
  await client.writeFile("/etc/resolv.conf", "nameserver 203.0.113.53\n");
  await client.ok(["ip", "route", "add", "10.55.0.0/16", "via", "10.77.0.1"]);
  const before = await Before.of(lab);
  const said = await auto(lab);
  assertEquals(said.filter((line) => !line.includes("not routing")), [
    "pvpn: routing 10.66.0.0/16 through tun0",
    "pvpn: routing 10.77.2.0/24 through tun0",
    "pvpn: routing 10.88.0.0/24 through tun0",
    "pvpn: routing 198.51.100.0/24 through tun0",
    "pvpn: routing fd88::/64 through tun0",
  ]);
  const why = said.join("\n");
  assertMatch(why, /not routing 0\.0\.0\.0\/1: it has addresses in it/);
  assertMatch(why, /not routing 8\.0\.0\.0\/8: it is too large/);
  assertMatch(why, /not routing 10\.55\.1\.0\/24: .*route to 10\.55\.0\.0\/16/);
  assertMatch(
    why,
    /not routing 203\.0\.113\.0\/24: .*resolver 203\.0\.113\.53/,
  );
  assertMatch(why, /not routing 10\.77\.1\.2: this machine/);
  await stop(lab);
  await before.assertSame("-N with a hostile server");
});

labTest("-N keeps the way to the server outside", async (lab) => {
  // The client is not in the server's network, as usual.
  await lab.client.ok([
    "sh",
    "-c",
    `
    ip address delete 10.77.0.2/24 dev c0
    ip address add 10.77.0.2/32 dev c0
    ip route add 10.77.0.1 dev c0 src 10.77.0.2
    ip route add default via 10.77.0.1`,
  ]);
  const before = await Before.of(lab);
  const said = await auto(lab);
  assertEquals(
    said[0],
    "pvpn: not routing 10.77.0.0/24: it has the server's " +
      "own address 10.77.0.1 in it",
  );
  assertEquals((await reach(lab.client, ADDRESS.inet)).error, undefined);
  await stop(lab);
  await before.assertSame("the way to the server");
});

labTest("-N refuses a server with very many networks", async (lab) => {
  const batch = Array.from(
    { length: 200 },
    (_, i) => `route add 10.66.${i}.0/24 via ${ADDRESS.inet}\n`,
  ).join("");
  await lab.server.ok(["ip", "-batch", "-"], { stdin: batch });
  const before = await Before.of(lab);
  const result = await pvpn(lab, AUTO);
  assertFails(result, 6, /more than 128 networks/, /name those .*leave -N out/);
  await before.assertSame("too many");
});

labTest(
  "-N says where there is nothing, and with -n that it cannot know",
  async (lab) => {
    const before = await Before.of(lab);
    const dry = await pvpn(lab, ["-n", ...AUTO]);
    assertEquals(dry.code, 0);
    assertMatch(dry.stderr, /known when the server has said it/);
    assert(dry.stdout.includes("route show table main"), dry.stdout);
    await before.assertSame("-n");
    const reached = ["10.77.2.0/24", "10.88.0.0/24", "default"];
    const script = reached.map((route) => `ip route delete ${route}`).join(
      "\n",
    );
    await lab.server.ok(["sh", "-c", script]);
    await lab.server.ok(["ip", "-6", "route", "delete", "fd88::/64"]);
    assertMatch((await auto(lab)).at(-1)!, /warning: -N found no network/);
    await stop(lab);
  },
);

labTest(
  "-N keeps this machine's own networks out of the server's",
  async (lab) => {
    const { client, server } = lab;
    await server.ok([
      "ip",
      "route",
      "add",
      "10.50.0.0/16",
      "via",
      ADDRESS.inet,
    ]);
    // One that it is attached to, and one that anybody could have handed out.
    await client.ok(["ip", "address", "add", "10.50.1.2/24", "dev", "c1"]);
    await client.ok(["ip", "route", "add", "10.50.3.0/24", "via", "10.77.1.1"]);
    const before = await Before.of(lab);
    const said = await auto(lab, "-x", "10.50.4.0/24");
    const without =
      "pvpn: routing 10.50.0.0/16 through tun0, without 10.50.1.0/24";
    assert(said.includes(without), said.join("\n"));
    assertMatch(await routes(lab), / -x 10\.50\.4\.0\/24 -x 10\.50\.1\.0\/24$/);
    const ways = async () =>
      await Promise.all(
        [1, 2, 3, 4].map((n) => way(client, `10.50.${n}.9`)),
      );
    const right = ["c1", "tun0 via", "tun0 via", "c0 via"];
    const same = (found: string[]) =>
      found.every((w, i) => w.startsWith(right[i]!));
    assert(same(await ways()), (await ways()).join());
    // It is closed all the same while there is no connection, and so again.
    await lab.stopSshd();
    await killAll(client, /^(?:sh|ssh|pvpn)$/);
    await killAll(client, /^(?:sh|ssh|pvpn)$/);
    assertMatch(await way(client, "10.50.2.9"), /^tun0|unreachable|No route/);
    await lab.startSshd();
    const again = await auto(lab, "-x", "10.50.4.0/24");
    assertMatch(again.join(), /taking it over/);
    assert(same(await ways()), (await ways()).join());
    await stop(lab);
    await before.assertSame("own networks");
  },
);
