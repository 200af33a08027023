/** Names through the tunnel, where resolvconf makes /etc/resolv.conf. */
import { assert, assertEquals } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { havePackages, unpack } from "../lab/packages.ts";
import { pvpn } from "../lab/pvpn.ts";
import { said } from "./helpers.ts";
import {
  Asking,
  assertRight,
  LAN,
  namesTest,
  RESOLVER,
  Uplinks,
} from "./names.ts";
import { eventually } from "./running.ts";

const CONF = "/etc/resolv.conf";

/** What a DHCP client gives to it. */
const lease = (lab: Lab, ...more: string[]) =>
  lab.client.ok(["resolvconf", "-a", "c0.dhclient"], {
    stdin: `search home.test\nnameserver ${LAN}\n${more.join("\n")}\n`,
  });

const KINDS: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  async "Debian's resolvconf"(lab) {
    const { client } = lab;
    await unpack(client, ["resolvconf"]);
    await client.ok(["mkdir", "-p", "/run/resolvconf/interface"]);
    await client.ok(["resolvconf", "--enable-updates"]);
    await client.ok(["ln", "-sf", "../run/resolvconf/resolv.conf", CONF]);
    await lease(lab);
  },
  async openresolv(lab) {
    await unpack(lab.client, ["openresolv"]);
    await lab.client.remove(CONF);
    await lease(lab);
  },
};

/** A test with each of them. */
function resolvconfTest(
  name: string,
  body: Parameters<typeof namesTest>[1],
): void {
  const missing = havePackages() ? "" : " (no packages: tools/deps vm)";
  for (const [kind, prepare] of Object.entries(KINDS)) {
    const ignore = missing !== "";
    namesTest(`${kind}: ${name}${missing}`, body, { prepare, ignore });
  }
}

async function up(lab: Lab, ...args: string[]): Promise<string> {
  const result = await pvpn(lab, ["-t", "ssh-3", "root@server", ...args]);
  assertEquals([result.code, said(result, "warning")], [0, []], result.stderr);
  return result.stdout.split(" ")[0]!;
}

async function stop(lab: Lab, ...args: string[]): Promise<void> {
  const { code, stderr } = await pvpn(lab, ["-S", ...args]);
  assertEquals([code, stderr], [0, ""]);
}

resolvconfTest(
  "names are asked through the tunnel only",
  async (lab, names) => {
    await up(lab, "-D", "default");
    assertEquals(
      (await lab.client.readFile(CONF)).split("\n").filter((line) =>
        /^n/.test(line)
      ),
      [`nameserver ${RESOLVER}`],
    );
    await assertRight(lab, names);
    await stop(lab);
    await lab.client.ok(["getent", "hosts", "www.corp.test"]);
    assertEquals(names.server.asked(), []);
  },
);

for (const order of [["tun0", "tun1"], ["tun1", "tun0"]]) {
  resolvconfTest(
    `two tunnels are stopped in the order ${order}`,
    async (lab, names) => {
      await up(lab, "-D", "default");
      await up(lab, "-D", "10.99.0.0/24");
      for (const device of order) {
        await assertRight(lab, names);
        await stop(lab, device);
      }
    },
  );
}

resolvconfTest(
  "a lease that is renewed changes nothing meanwhile",
  async (lab, names) => {
    await up(lab, "-D", "default");
    await lease(lab, "nameserver 10.77.0.99");
    await assertRight(lab, names);
    await stop(lab);
    // What it says now is what counts then.
    assert((await lab.client.readFile(CONF)).includes("nameserver 10.77.0.99"));
    await lease(lab);
  },
);

resolvconfTest(
  "nothing leaks when ssh is killed, and all comes back",
  async (lab, names) => {
    await up(lab, "-D", "default");
    names.server.asked();
    const uplinks = await Uplinks.watch(lab);
    const asking = Asking.start(lab);
    await lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);
    await eventually(lab.client, [
      "dig",
      "+tries=1",
      "+time=1",
      "www.corp.test",
    ], 15_000);
    await lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);
    await eventually(lab.client, [
      "dig",
      "+tries=1",
      "+time=1",
      "www.corp.test",
    ], 15_000);
    await asking.stop();
    await uplinks.assertOnlySsh("while ssh was killed twice");
    names.assertTunnelled("after two deaths of ssh");
    await stop(lab);
  },
);
