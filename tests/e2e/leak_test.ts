/**
 * What leaves the client by its cables, whatever becomes of the tunnel: under
 * constant traffic of both families, and questions for names.
 */
import { assert, assertEquals } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { type Names, namesTest } from "./names.ts";
import { eventually } from "./running.ts";

/** What cables say to themselves: ARP, and neighbours of IPv6. */
const CABLE = "not arp and not dst net ff02::/16 and " +
  "not (icmp6 and ip6[40] >= 133 and ip6[40] <= 137)";
const SSH =
  / IP 10\.77\.0\.(?:2\.\d+ > 10\.77\.0\.1\.22|1\.22 > 10\.77\.0\.2\.\d+): /;

/** Traffic that does not end, to addresses and for names. */
class Flood implements AsyncDisposable {
  readonly #children: readonly Deno.ChildProcess[];

  constructor(lab: Lab, addresses: readonly string[]) {
    const pings = addresses.map((address) => [
      ...["ping", "-n", "-q", "-i", "0.02", "-W1", address],
    ]);
    const names = "while :; do getent ahosts www.corp.test >/dev/null; done";
    this.#children = [...pings, ["sh", "-c", names]].map((argv) =>
      lab.client.spawn(argv)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map((child) => child.output()));
  }
}

/** Runs `body` under traffic; only ssh may be seen on the client's cables. */
async function assertTight(
  lab: Lab,
  names: Names,
  addresses: readonly string[],
  body: () => Promise<void>,
): Promise<void> {
  const captures = await Promise.all(
    ["c0", "c1"].map((device) => capture(lab.client, device, [CABLE])),
  );
  names.lan.asked();
  {
    await using _ = new Flood(lab, addresses);
    await body();
  }
  const packets = (await Promise.all(captures.map((c) => c.stop()))).flat();
  assert(packets.some((line) => SSH.test(line)), "the capture is empty");
  assertEquals(packets.filter((line) => !SSH.test(line)), []);
  assertEquals(names.lan.asked(), [], "names were asked in clear");
  assert(names.server.asked().length > 0, "no name was asked");
}

async function killSsh({ client }: Lab): Promise<void> {
  const [ssh] = (await client.processes()).filter(({ comm }) => comm === "ssh");
  assert(ssh, "no ssh runs");
  await client.kill(ssh.pid, "SIGKILL");
}

const ROUTES: readonly (readonly [string, readonly string[]])[] = [
  ["default", ["default"]],
  ["networks", ["203.0.113.0/24", "10.88.0.0/24", "2001:db8::/64"]],
];

for (const [what, routes] of ROUTES) {
  namesTest(
    `nothing leaks beside ${what}, whatever happens`,
    async (lab, names) => {
      const { client } = lab;
      const addresses = [ADDRESS.public, ADDRESS.public6];
      const ping = (address: string) => ["ping", "-n", "-c1", "-W1", address];
      const back = async () => {
        for (const to of addresses) await eventually(client, ping(to), 30_000);
      };
      const args = ["-t", "ssh-3", "-D", "root@server", ...routes];
      const { code, stderr } = await pvpn(lab, args);
      assertEquals(code, 0, stderr);
      await assertTight(lab, names, addresses, async () => {
        await back();
        await killSsh(lab);
        await back();
        // As a lease that ends does, and another that brings routes of its own.
        await client.ok(["ip", "route", "delete", "default"]);
        await client.ok(["ip", "route", "add", "default", "via", "10.77.0.1"]);
        const forged = ["203.0.113.9/32", "via", "10.77.0.1"];
        await client.ok(["ip", "route", "add", ...forged]);
        await back();
        await killSsh(lab);
        await back();
        await client.ok(["ip", "route", "delete", ...forged]);
        await lab.stopSshd();
        await eventually(client, ["sh", "-c", "! pidof ssh"], 10_000);
        await lab.startSshd();
        await back();
      });
      assertEquals((await pvpn(lab, ["-S"])).code, 0);
    },
  );
}

namesTest(
  "connecting opens no hole, and closes all at once",
  async (lab, names) => {
    const { client } = lab;
    const addresses = [ADDRESS.public, ADDRESS.public6];
    await using _ = new Flood(lab, addresses);
    const args = ["-t", "ssh-3", "-D", "root@server", "default"];
    const { code, stderr } = await pvpn(lab, args);
    assertEquals(code, 0, stderr);
    // From the moment on at which it says so: nothing at all.
    const captures = await Promise.all(
      ["c0", "c1"].map((device) => capture(client, device, [CABLE])),
    );
    names.lan.asked();
    for (const to of addresses) {
      await eventually(
        client,
        ["ping", "-n", "-c3", "-i.2", "-W1", to],
        10_000,
      );
    }
    const packets = (await Promise.all(captures.map((c) => c.stop()))).flat();
    assertEquals(packets.filter((line) => !SSH.test(line)), []);
    assertEquals(names.lan.asked(), []);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
  },
);
