/** The swap of /etc/resolv.conf and its way back, with real files. */
import { assert, assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import {
  formatResolvConf,
  RESTORE_LEFT_SCRIPT,
  RESTORE_SCRIPT,
} from "../../lib/resolv_file.ts";
import { fileTest, LINES } from "./resolv_file_machine.ts";
import { shells } from "./shells.ts";

Deno.test("formatResolvConf() has a search line in any case", () => {
  const addresses = [parseAddress("10.0.0.53")!, parseAddress("fd00::53")!];
  assertEquals(
    formatResolvConf({ addresses, domains: ["a.test", "b.test"] }),
    "search a.test b.test\nnameserver 10.0.0.53\nnameserver fd00::53",
  );
  assertEquals(
    formatResolvConf({ addresses: addresses.slice(0, 1), domains: [] }),
    "search .\nnameserver 10.0.0.53",
  );
});

fileTest("is swapped, and the very same comes back", async (machine) => {
  const before = machine.all();
  assertEquals(await machine.set("tun0"), 0);
  const [head = "", ...lines] = machine.read().split("\n");
  assert(head.startsWith("# Made by pvpn for tun0 ("), head);
  assertEquals(lines.join("\n"), LINES + "\n");
  assertEquals(Deno.statSync(machine.conf).mode! & 0o777, 0o644);
  await machine.restore("tun0");
  assertEquals(machine.all(), before);
  await machine.run(RESTORE_SCRIPT, ["tun0"]); // once more
  assertEquals(machine.all(), before);
});

const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [
  2,
  1,
  0,
]];

for (const order of ORDERS) {
  fileTest(
    `comes back when three tunnels are stopped in the order ${order}`,
    async (machine) => {
      const before = machine.all();
      const lines = [0, 1, 2].map((n) => `nameserver 10.0.0.${n}`);
      for (const n of [0, 1, 2]) await machine.set(`tun${n}`, lines[n]);
      const up = new Set([0, 1, 2]);
      for (const n of order) {
        await machine.restore(`tun${n}`);
        up.delete(n);
        const top = Math.max(...up);
        if (up.size > 0) assert(machine.read().includes(lines[top]!), `${n}`);
      }
      assertEquals(machine.all(), before);
    },
    ["file", "link", "nothing"],
    shells.slice(0, 1),
  );
}

fileTest("is updated where it is", async (machine) => {
  const before = machine.all();
  await machine.set("tun0");
  await machine.set("tun1", "nameserver 10.0.1.53");
  await machine.set("tun0", "nameserver 10.0.0.54");
  assert(machine.read().includes("10.0.1.53"));
  await machine.set("tun1", "nameserver 10.0.1.54");
  assert(machine.read().includes("10.0.1.54"));
  await machine.restore("tun1");
  assert(machine.read().endsWith("\nnameserver 10.0.0.54\n"));
  await machine.restore("tun0");
  assertEquals(machine.all(), before);
});

const THEIRS = "# dhclient\nnameserver 192.168.2.1\n";

fileTest("stays as somebody else has made it meanwhile", async (machine) => {
  for (
    const change of [
      () => {
        Deno.writeTextFileSync(`${machine.conf}.theirs`, THEIRS);
        Deno.renameSync(`${machine.conf}.theirs`, machine.conf);
      },
      () => Deno.writeTextFileSync(machine.conf, THEIRS),
      () =>
        Deno.writeTextFileSync(machine.conf, "options x\n", { append: true }),
      () => {
        const text = machine.read().replace("10.0.0.53", "10.0.0.35");
        Deno.writeTextFileSync(machine.conf, text);
      },
      () => Deno.removeSync(machine.conf),
    ]
  ) {
    await machine.set("tun0");
    change();
    const theirs = machine.all().filter((line) =>
      line.startsWith("resolv.conf ")
    );
    await machine.restore("tun0");
    // Where they have removed it, what was there first is not theirs to miss.
    if (theirs.length > 0) assertEquals(machine.all(), theirs);
    else assert(machine.all().length <= 1);
  }
}, ["file", "link"]);

fileTest("is set again over what somebody has made of it", async (machine) => {
  await machine.set("tun0");
  Deno.writeTextFileSync(machine.conf, THEIRS);
  const theirs = machine.all().filter((line) =>
    line.startsWith("resolv.conf ")
  );
  await machine.set("tun0");
  assert(machine.read().includes("10.0.0.53"));
  await machine.restore("tun0");
  assertEquals(machine.all(), theirs);
}, ["file", "link"]);

fileTest("comes back after the power was lost", async (machine) => {
  const before = machine.all();
  await machine.set("tun0");
  await machine.set("tun1");
  const lose = () => {
    for (const n of [0, 1]) {
      Deno.removeSync(`${machine.dir}/run/pvpn/tun${n}.json`);
    }
  };
  lose();
  // The next tunnel finds it, under the same name or another.
  await machine.set("tun1");
  await machine.restore("tun1");
  assertEquals(machine.all(), before);
  await machine.set("tun0");
  await machine.set("tun1");
  lose();
  assertEquals(await machine.run(RESTORE_LEFT_SCRIPT, []), 0);
  assertEquals(machine.all(), before);
});
