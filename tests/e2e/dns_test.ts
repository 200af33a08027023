/** Names through the tunnel, where /etc/resolv.conf is nobody's but ours. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { labTest } from "../lab/suite.ts";
import { pvpn } from "../lab/pvpn.ts";
import type { Lab } from "../lab/lab.ts";
import { assertFails, said } from "./helpers.ts";
import {
  assertRight,
  CLIENT_CONF,
  LAN,
  type Names,
  namesTest,
  RESOLVER,
} from "./names.ts";
import { Before } from "./running.ts";

const CONF = "/etc/resolv.conf";
const connect = (lab: Lab, ...args: string[]) =>
  pvpn(lab, ["-t", "ssh-3", "root@server", ...args]);

async function up(lab: Lab, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await connect(lab, ...args);
  assertEquals(code, 0, stderr);
  assertEquals(said({ code, stdout, stderr, signal: null }, "warning"), []);
  return stdout.split(" ")[0]!;
}

async function stop(lab: Lab, ...args: string[]): Promise<void> {
  const { code, stderr } = await pvpn(lab, ["-S", ...args]);
  assertEquals([code, stderr], [0, ""]);
}

for (const route of ["default", "10.99.0.0/24"]) {
  namesTest(
    `-D asks the server's resolver only, with ${route}`,
    async (lab, names) => {
      await up(lab, "-D", route);
      await assertRight(lab, names);
      // Not even if a program insists on the one that was asked before.
      const argv = ["dig", "+tries=1", "+time=1", `@${LAN}`, "www.corp.test"];
      assert((await lab.client.run(argv)).code !== 0);
      assertEquals(names.lan.asked(), []);
      await stop(lab);
      await lab.client.ok(["getent", "hosts", "www.corp.test"]);
      assertEquals(names.lan.asked(), ["www.corp.test"]);
      assertEquals(names.server.asked(), []);
    },
  );
}

namesTest("-D works without a route", async (lab, names) => {
  await up(lab, "-D");
  await assertRight(lab, names);
  await stop(lab);
});

namesTest(
  "--dns names a resolver by hand; -D adds the domains",
  async (lab, names) => {
    await lab.server.writeFile(
      CONF,
      "nameserver 10.88.0.54\nsearch lab.test\n",
    );
    await up(lab, "--dns", RESOLVER, "10.99.0.0/24");
    assertEquals(
      (await lab.client.readFile(CONF)).split("\n").slice(1),
      ["search .", `nameserver ${RESOLVER}`, ""],
    );
    await assertRight(lab, names, "www.lab.test");
    await stop(lab);
    await up(lab, "-D", "--dns", RESOLVER);
    await assertRight(lab, names);
    await stop(lab);
    await lab.server.writeFile(
      CONF,
      `nameserver ${RESOLVER}\nsearch lab.test\n`,
    );
  },
);

const KINDS: Readonly<Record<string, (lab: Lab) => Promise<void>>> = {
  async "a link"({ client }) {
    await client.remove(CONF);
    await client.writeFile("/run/mine", CLIENT_CONF);
    await client.ok(["ln", "-s", "../run/mine", CONF]);
  },
  async "a link to nowhere"({ client }) {
    await client.remove(CONF);
    await client.ok(["ln", "-s", "/run/none", CONF]);
  },
  async "a mount, as in containers"({ client }) {
    await client.writeFile("/run/mine", CLIENT_CONF);
    await client.ok(["mount", "--bind", "/run/mine", CONF]);
  },
  async "not there"({ client }) {
    await client.remove(CONF);
  },
  async "a file with a mode of its own"({ client }) {
    await client.ok(["chmod", "0604", CONF]);
  },
};

for (const [kind, prepare] of Object.entries(KINDS)) {
  namesTest(
    `-D leaves a resolv.conf that is ${kind} as it was`,
    async (lab, names) => {
      await up(lab, "-D", "default");
      await assertRight(lab, names);
      const second = await up(lab, "-D", "10.99.0.0/24");
      await assertRight(lab, names);
      await stop(lab, "tun0");
      await assertRight(lab, names);
      await stop(lab, second);
    },
    { prepare },
  );
}

for (const order of [["tun0", "tun1"], ["tun1", "tun0"]]) {
  namesTest(
    `two tunnels with -D are stopped in the order ${order}`,
    async (lab, names) => {
      await up(lab, "-D", "default");
      await up(lab, "--dns", RESOLVER, "10.99.0.0/24");
      for (const device of order) {
        assertEquals(await query(lab, names), ["www.corp.test"]);
        await stop(lab, device);
      }
    },
  );
}

/** Looks one name up; whom the server's resolver was asked for. */
async function query(lab: Lab, names: Names): Promise<string[]> {
  await lab.client.ok(["getent", "ahostsv4", "www.corp.test"]);
  assertEquals(names.lan.asked(), []);
  return names.server.asked();
}

labTest(
  "what dhclient makes of resolv.conf stays, and leaks nothing",
  async (lab) => {
    const theirs = `# dhclient\nnameserver ${LAN}\n`;
    const before = await Before.of(lab);
    await up(lab, "-D", "default");
    await lab.client.writeFile("/etc/new", theirs);
    await lab.client.ok(["mv", "/etc/new", CONF]);
    // Its resolver is not asked for as long as the tunnel is up.
    const argv = ["dig", "+tries=1", "+time=1", "www.corp.test"];
    const { code, stdout } = await lab.client.run(argv);
    assert(code !== 0);
    assertMatch(stdout, /connection refused/);
    await stop(lab);
    assertEquals(await lab.client.readFile(CONF), theirs);
    await lab.client.writeFile(CONF, "nameserver 203.0.113.53\n");
    const after = await lab.client.snapshot();
    const mine = (line: string) => !line.startsWith("/etc/resolv.conf ");
    assertEquals(
      after.split("\n").filter(mine),
      before.client.split("\n").filter(mine),
    );
  },
);

namesTest(
  "a server that knows only itself is refused, and the way out named",
  async (lab) => {
    for (
      const [text, error] of [
        ["nameserver 127.0.0.53\n", /asks itself for names, at 127\.0\.0\.53/],
        ["search lab.test\n", /asks itself for names, at 127\.0\.0\.1/],
        ["nameserver ff02::1\n", /none of the resolvers|names no resolver/],
        ["nameserver 8.8.8.8; rm -rf /\n", /names no resolver/],
      ] as const
    ) {
      await lab.server.writeFile(CONF, text);
      const failed = await connect(lab, "-D", "default");
      assertFails(failed, 8, error, /--dns ADDRESS/);
    }
    await lab.server.writeFile(
      CONF,
      `nameserver ${RESOLVER}\nsearch lab.test\n`,
    );
  },
);

namesTest(
  "what is no address or domain of the server's is told, not used",
  async (lab, names) => {
    const lines = [
      ...["nameserver 8.8.8.8; rm -rf /", "nameserver $(touch /etc/evil)"],
      ...["nameserver fe80::1%eth0", "nameserver 2001:db8::53"],
      `nameserver ${RESOLVER}`,
      `search lab.test $(touch /etc/evil) ${"x".repeat(10_000)} a;b`,
      "options $(touch /etc/evil)",
    ];
    await lab.server.writeFile(CONF, lines.join("\n") + "\n");
    const { code, stderr } = await connect(lab, "-D", "10.99.0.0/24");
    assertEquals(code, 0, stderr);
    for (
      const text of ["8.8.8.8;", "$(touch", "fe80::1%eth0", "/etc/evil)", "a;b"]
    ) assert(stderr.includes(`"${text}": left out`), stderr);
    assertMatch(stderr, /2001:db8::53 is left out: IPv6 does not go through/);
    assertEquals(
      (await lab.client.readFile(CONF)).split("\n").slice(1),
      ["search lab.test", `nameserver ${RESOLVER}`, ""],
    );
    await assertRight(lab, names);
    await stop(lab);
    await lab.server.writeFile(
      CONF,
      `nameserver ${RESOLVER}\nsearch lab.test\n`,
    );
  },
);

namesTest("default without -D says which names leave in clear", async (lab) => {
  const result = await connect(lab, "default");
  assertEquals(result.code, 0);
  assertEquals(said(result, "warning"), [
    `names are still asked at ${LAN}, beside the tunnel`,
  ]);
  assertMatch(said(result, "hint").join(), /-D/);
  await stop(lab);
  const networks = await connect(lab, "10.99.0.0/24");
  assertEquals(said(networks, "warning"), []);
  await stop(lab);
});

namesTest("--dns-domain is refused where all names go one way", async (lab) => {
  const args = ["-D", "--dns-domain", "corp.test", "default"];
  const failed = await connect(lab, ...args);
  assertFails(failed, 8, /needs systemd-resolved/, /stub-resolv\.conf/);
  assertEquals(await lab.logins(), 0);
});

namesTest("-n prints what -D would do, and does nothing", async (lab) => {
  const { code, stdout, stderr } = await connect(lab, "-n", "-D", "default");
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /192\.0\.2\.53 stands for a resolver/);
  for (
    const text of [
      "nft -f -",
      "table inet pvpn-tun0 {",
      "nameserver 192.0.2.53",
    ]
  ) assert(stdout.includes(text), stdout);
  assertMatch(stdout, /resolv_conf \/etc\/resolv\.conf/); // on the server
  assertEquals(await lab.logins(), 0);
});
