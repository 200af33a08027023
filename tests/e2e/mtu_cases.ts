/** `--mtu auto`: large to the server's end, usual beyond it. */
import { assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { echoes } from "../lab/load.ts";
import { noOffloads } from "../lab/offloads.ts";
import { reachUdp } from "../lab/reach.ts";
import { deviceOf, type LabTest, type Typed } from "./helpers.ts";
import { eventually } from "./running.ts";

const LARGE = 16380;

/** The MTU of the way to an address. */
async function mtuTo({ client }: Lab, address: string): Promise<number> {
  const argv = ["ip", "-json", "-details", "route", "get", address];
  const [{ metrics: [{ mtu } = {}] = [], dev } = {}] = JSON.parse(
    await client.ok(argv),
  ) as { dev: string; metrics?: { mtu?: number }[] }[];
  const path = `/sys/class/net/${dev}/mtu`;
  return mtu ?? Number(await client.ok(["cat", path]));
}

/** The tests, for one type. */
export function mtuTests({ type, up }: Typed, test: LabTest): void {
  test(`--mtu auto of ${type} is large to the server, and usual beyond it`, async (lab) => {
    const { client, server, inet } = lab;
    const args = ["--mtu", "auto", "root@server", "10.88.0.0/24", "fd88::/64"];
    await using tunnel = await up(lab, args);
    const { local, peer } = await tunnel.pair();
    assertEquals((await deviceOf(client, local)).mtu, LARGE);
    assertEquals((await deviceOf(server, peer)).mtu, LARGE);
    const ping = (to: string, size: number) =>
      client.run(["ping", "-n", "-c1", "-W5", "-Mdo", `-s${size}`, to]);
    assertEquals((await ping(peer, LARGE - 28)).code, 0);
    assertEquals((await ping(ADDRESS.inet, 1472)).code, 0);
    const { stdout, stderr } = await ping(ADDRESS.inet, 1473);
    assertMatch(stderr + stdout, /message too long, mtu=1500/i);
    assertEquals(await mtuTo(lab, ADDRESS.inet6), 1500);
    assertEquals(await reachUdp(client, ADDRESS.inet), true);
    const restore = await noOffloads(lab);
    const large = await capture(inet, "i0", ["greater", "1515"]);
    for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
      const load = { streams: 2, bytes: 200_000, seconds: 30 };
      await echoes(client, address, load);
    }
    await client.ok(["ping", "-n", "-c1", "-W5", "-s8000", ADDRESS.inet]);
    assertEquals((await large.stop()).slice(0, 3), []);
    await restore();
  });

  test(`--mtu auto of ${type} finds out what is smaller beyond the server`, async (lab) => {
    const { client, server, inet } = lab;
    await using _ = await up(lab, [
      ...["--mtu", "auto", "root@server", "10.88.0.0/24", "fd88::/64"],
    ]);
    const set = async (mtu: number) => {
      await server.ok(["ip", "link", "set", "s1", "mtu", `${mtu}`]);
      await inet.ok(["ip", "link", "set", "i0", "mtu", `${mtu}`]);
    };
    await set(1300);
    for (const address of [ADDRESS.inet, ADDRESS.inet6]) {
      const words = ["-n", "-c1", "-W5", "-Mdo", "-s1400", address];
      assertEquals((await client.run(["ping", ...words])).code, 1);
      assertEquals(await mtuTo(lab, address), 1300);
      const load = { streams: 1, bytes: 100_000, seconds: 30 };
      await echoes(client, address, load);
    }
    await set(1500);
  });

  test(`--mtu auto of ${type} is usual for default, and after a reconnect`, async (lab) => {
    const { client } = lab;
    const args = ["--mtu", "auto", "root@server", "default"];
    const says = /IPv6 goes through/;
    await using tunnel = await up(lab, args, { says });
    const { peer } = await tunnel.pair();
    const check = async () => {
      assertEquals(await mtuTo(lab, peer), LARGE);
      assertEquals(await mtuTo(lab, ADDRESS.public), 1500);
      assertEquals(await mtuTo(lab, ADDRESS.public6), 1500);
    };
    await check();
    for (const { comm, pid } of await client.processes()) {
      if (comm === "ssh") await client.kill(pid, "SIGKILL");
    }
    const up4 = ["ping", "-n", "-c1", "-W1", ADDRESS.public];
    await eventually(client, ["pgrep", "-x", "pvpn"], 5000);
    await eventually(client, up4, 30_000);
    await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
    await check();
  });
}
