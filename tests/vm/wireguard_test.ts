/** examples/plugins/wireguard.js, with WireGuard of a real kernel. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { assertFails, suite } from "../e2e/helpers.ts";
import { testPlugin } from "../../testing.ts";

const FILE = new URL("../../examples/plugins/wireguard.js", import.meta.url);
const FOLDER = "/run/plugins";
const ENV = { env: { PVPN_PLUGINS: FOLDER } };
const TYPE = ["-t", "wireguard"];

testPlugin(FILE);

const test = suite({}, async ({ client }) => {
  await client.ok(["mkdir", FOLDER]);
  const text = await Deno.readTextFile(FILE);
  await client.writeFile(`${FOLDER}/wireguard.js`, text);
});

/** Drops UDP at the server while `body` runs. */
async function withoutUdp(
  { server }: Lab,
  body: () => Promise<void>,
): Promise<void> {
  const rules = "table inet noudp {\nchain input {\ntype filter hook input " +
    "priority 0\niifname s0 meta l4proto udp drop\n}\n}\n";
  await server.ok(["nft", "-f", "-"], { stdin: rules });
  try {
    await body();
  } finally {
    await server.ok(["nft", "delete table inet noudp"]);
  }
}

test("wireguard says so where UDP does not pass, and leaves nothing", async (lab) => {
  await withoutUdp(lab, async () => {
    const result = await pvpn(lab, [...TYPE, "root@server", "default"], ENV);
    assertFails(
      result,
      7,
      /^UDP does not pass between here and 10\.77\.0\.1:51820: no answer$/,
      /UDP, port 51820/,
    );
  });
});

test("wireguard takes another port where its own is taken", async (lab) => {
  const first = await pvpn(lab, [...TYPE, "root@server"], ENV);
  assertEquals(first.stdout, "pvwg0 connected\n", first.stderr);
  const second = await pvpn(lab, [...TYPE, "root@server", "10.88.0.0/24"], ENV);
  assertEquals(second.stdout, "pvwg1 connected\n", second.stderr);
  const shown = await lab.client.ok(["wg", "show", "all", "endpoints"]);
  const [one, two] = shown.trim().split("\n").map((line) => line.split(":")[1]);
  assertEquals(one, "51820");
  assert(two !== undefined && two !== one, shown);
  await lab.client.ok(["ping", "-c1", "-W5", "-n", ADDRESS.inet]);
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
});

test("wireguard goes beside the tunnel, and nothing else to the server does", async (lab) => {
  const { stdout, stderr } = await pvpn(
    lab,
    [...TYPE, "root@server", ADDRESS.server],
    ENV,
  );
  assertEquals(stdout, "pvwg0 connected\n", stderr);
  const way = async (...words: string[]) =>
    await lab.client.ok(["ip", "route", "get", ADDRESS.server, ...words]);
  assertMatch(await way("ipproto", "udp", "dport", "51820"), / dev c0 /);
  assertMatch(await way("ipproto", "tcp", "dport", "22"), / dev c0 /);
  assertMatch(await way("ipproto", "udp", "dport", "53"), / dev pvwg0 /);
  await pvpn(lab, ["-S"]);
});

test("wireguard prints no private key, not even with -d", async (lab) => {
  const args = ["-d", ...TYPE, "root@server"];
  const { stdout, stderr } = await pvpn(lab, args, ENV);
  assertEquals(stdout, "pvwg0 connected\n");
  for (const node of [lab.client, lab.server]) {
    const keys = await node.ok(["wg", "show", "all", "private-key"]);
    const [, key = ""] = keys.trim().split("\t");
    assertEquals(key.length, 44);
    assert(!stderr.includes(key), `of the ${node.name}`);
  }
  await pvpn(lab, ["-S"]);
});

test("wireguard does not try through a jump host", async (lab) => {
  const env = { ...ENV.env, SSH_ARGS: "-J jump" };
  const result = await pvpn(lab, [...TYPE, "root@server"], { env });
  assertFails(result, 7, /WireGuard does not go through the proxy/);
});
