/** Several tunnels at once, stopping them, and `--mtu`. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import {
  assertFails,
  connect,
  deviceOf,
  suite,
  Tunnel,
  unchanged,
  up,
  way,
} from "./helpers.ts";

const test = suite({ jump: false });

/** What is far more than stopping takes, on any machine. */
const SLOW = 3000;

const ROUTES = [["10.88.0.0/24"], ["203.0.113.0/24"], []] as const;

/** Three tunnels, started at the same moment. */
function three(lab: Lab): Promise<Tunnel[]> {
  return Promise.all(
    ROUTES.map((routes) => up(lab, ["root@server", ...routes])),
  );
}

/** Whether the tunnel of that number carries something. */
async function carries(
  lab: Lab,
  tunnels: Tunnel[],
  n: number,
): Promise<boolean> {
  const address = [ADDRESS.inet, ADDRESS.public][n];
  if (address) return (await reach(lab.client, address)).from === "10.88.0.1";
  const { peer } = await tunnels[n]!.pair();
  const argv = ["ping", "-n", "-c", "1", "-W", "2", peer];
  return (await lab.client.run(argv)).code === 0;
}

async function stop(lab: Lab, args: readonly string[]): Promise<string> {
  const start = performance.now();
  const { code, stdout, stderr } = await pvpn(lab, ["-S", ...args]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assert(performance.now() - start < SLOW, "-S takes longer than 3 s");
  return stdout;
}

test("three tunnels at once are three devices; -S DEVICE stops that one", async (lab) => {
  const logins = await lab.logins();
  const tunnels = await three(lab);
  assertEquals(await lab.logins(), logins + 3);
  const devices = tunnels.map(({ device }) => device);
  assertEquals(devices.toSorted(), ["tun0", "tun1", "tun2"]);
  for (let n = 0; n < 3; n++) assert(await carries(lab, tunnels, n), `${n}`);
  assertEquals(await stop(lab, [devices[1]!]), `${devices[1]} disconnected\n`);
  assert(await carries(lab, tunnels, 0));
  assert(await carries(lab, tunnels, 2));
  assertEquals(await way(lab.client, ADDRESS.public), "c0 via 10.77.0.1");
  assertEquals(await stop(lab, [devices[0]!]), `${devices[0]} disconnected\n`);
  assert(await carries(lab, tunnels, 2));
  await tunnels[2]!.stop();
});

test("-S stops all", async (lab) => {
  await three(lab);
  const lines = (await stop(lab, [])).trim().split("\n").sort();
  assertEquals(lines, [0, 1, 2].map((n) => `tun${n} disconnected`));
});

test("-S of what is not there is an error", async (lab) => {
  assertFails(await pvpn(lab, ["-S"]), 9, /no tunnel is up/);
  assertFails(await pvpn(lab, ["-S", "tun7"]), 9, /no tunnel "tun7"/, /no tun/);
  await using tunnel = await up(lab, ["root@server"]);
  const { device } = tunnel;
  assertFails(
    await pvpn(lab, ["-S", "tun7"]),
    9,
    /no tunnel "tun7"/,
    new RegExp(device),
  );
  assertFails(await pvpn(lab, ["-S", "c0"]), 9, /no tunnel "c0"/);
  assertFails(await pvpn(lab, ["-S", device, "tun7"]), 2, /takes one DEVICE/);
  assertFails(await pvpn(lab, ["-S", ""]), 2, /DEVICE/);
  await lab.client.ok(["ping", "-c", "1", (await tunnel.pair()).peer]);
});

test("a device that is another program's is left alone", async (lab) => {
  const { client } = lab;
  await client.ok(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"]);
  await using tunnel = await up(lab, ["root@server"]);
  assertEquals(tunnel.device, "tun1");
  assertFails(await pvpn(lab, ["-S", "tun0"]), 9, /no tunnel "tun0"/, /tun1/);
  await client.ok(["ip", "link", "delete", "tun0"]);
});

test("a route that is there is refused, and whose it is keeps it", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
  const there = await way(client, ADDRESS.inet);
  for (const args of [["10.88.0.0/24"], ["203.0.113.0/24", "10.88.0.0/24"]]) {
    const result = await unchanged(
      lab,
      () => connect(lab, ["root@server", ...args]),
    );
    const { device } = tunnel;
    const error = `"${device}" has the route 10\\.88\\.0\\.0/24 already`;
    assertFails(result, 7, new RegExp(error), new RegExp(`-S ${device}`));
  }
  assertEquals(await way(client, ADDRESS.inet), there);
  assertEquals(there.split(" ")[0], tunnel.device);
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
});

test("a network of this machine's own is refused", async (lab) => {
  const before = await lab.client.ok(["ip", "route"]);
  const result = await connect(lab, ["root@server", "10.77.0.0/24"]);
  assertFails(result, 7, /has a route to 10\.77\.0\.0\/24 already/);
  assertEquals(await lab.client.ok(["ip", "route"]), before);
});

test("a second default is refused, and the first keeps it", async (lab) => {
  await using tunnel = await up(lab, ["root@server", "default"]);
  const result = await unchanged(
    lab,
    () => connect(lab, ["root@server", "default"]),
  );
  const name = new RegExp(`"${tunnel.device}" has the default route`);
  assertFails(result, 7, name, new RegExp(`pvpn -S ${tunnel.device}`));
  assertEquals(await reach(lab.client, ADDRESS.public), { from: "10.88.0.1" });
  // Beside it there may be others, which it does not swallow.
  await using second = await up(lab, ["root@server", "10.88.0.0/24"]);
  const there = await way(lab.client, ADDRESS.inet);
  assertEquals(there.split(" ")[0], second.device);
});

for (const mtu of [576, 1400, 16380]) {
  test(`--mtu ${mtu} is that of both ends`, async (lab) => {
    const { client, server } = lab;
    await using tunnel = await up(lab, ["--mtu", `${mtu}`, "root@server"]);
    const { local, peer } = await tunnel.pair();
    assertEquals((await deviceOf(client, local)).mtu, mtu);
    assertEquals((await deviceOf(server, peer)).mtu, mtu);
    const ping = (size: number) => {
      const words = ["-c", "1", "-W", "2", "-M", "do", "-s", `${size - 28}`];
      return client.run(["ping", "-n", ...words, peer]);
    };
    assertEquals((await ping(mtu)).code, 0, "a packet of the MTU");
    const { code, stderr, stdout } = await ping(mtu + 1);
    assertEquals(code, 1);
    assertMatch(stderr + stdout, /message too long/i);
  });
}

test("a rule of somebody else's is left alone, also when it is in the way", async (lab) => {
  const { client } = lab;
  const words = ["priority", "11001", "to", "10.0.0.0/8", "table", "main"];
  const rule = [...words, "suppress_prefixlength", "0", "protocol", "kernel"];
  await client.ok(["ip", "rule", "add", ...rule]);
  const result = await unchanged(lab, async () => {
    const result = await connect(lab, ["root@server", "default"]);
    if (result.code === 0) await pvpn(lab, ["-S"]);
    return result;
  });
  await client.ok(["ip", "rule", "delete", ...rule]);
  if (result.code !== 0) assertFails(result, 7, /rule/);
});
