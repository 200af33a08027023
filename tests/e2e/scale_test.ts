/**
 * Many tunnels on one client, and many clients on one server. PVPN_SCALE says
 * how many there are on the client; there are twice as many clients.
 */
import { assert, assertEquals } from "@std/assert";
import { started, usage } from "../lab/cost.ts";
import { addClients, answerAll } from "../lab/crowd.ts";
import { type Lab, Node, type RunResult } from "../lab/lab.ts";
import {
  assertApart,
  assertCarries,
  assertDistinct,
  connectOn,
  deviceUp,
  inTurns,
  numbers,
  pvpnOn,
  stopAll,
  tunAddresses,
} from "./crowd.ts";
import { assertFails, suite } from "./helpers.ts";

const TUNNELS = Number(Deno.env.get("PVPN_SCALE") || 40);
const CLIENTS = 2 * TUNNELS;
const HOST = "root@server";

let clients: Node[] = [];
const test = suite({ jump: false }, async (lab) => {
  await answerAll(lab.server);
  clients = await addClients(lab, CLIENTS);
});

/** The programs that `-d` shows of this end, in the order of their names. */
function programsOf({ stderr }: RunResult): string[] {
  const found = [...stderr.matchAll(/^\+ (?!server:)(\S+)/gm)];
  return found.map(([, program = ""]) => program).sort();
}

/** What threads and timing may add to the processes that are started. */
const LEEWAY = 8;

/** What one more tunnel costs: what is run for it, here and there. */
async function costOf({ client, server }: Lab, n: number) {
  let result: RunResult | undefined;
  let there = 0;
  const here = await started(client, async () => {
    there = await started(server, async () => {
      result = await connectOn(client, n, HOST, ["-d"]);
    });
  });
  assertEquals(result!.code, 0, result!.stderr);
  const device = result!.stdout.split(" ")[0]!;
  return { here, there, device, programs: programsOf(result!) };
}

test(`${TUNNELS} tunnels on one client, none in another's way`, async (lab) => {
  const { client, server } = lab;
  const idle = await Promise.all([client, server].map((node) => usage(node)));
  /** The memory of one tunnel, on both ends, in KiB. */
  const each = async (count: number) => {
    const all = await Promise.all([client, server].map((node) => usage(node)));
    return all.map(({ own }, i) => (own - idle[i]!.own) / count);
  };
  const connect = async (n: number) =>
    deviceUp(await connectOn(client, n, HOST));
  const devices = [await connect(0)];
  const second = await costOf(lab, 1);
  devices.push(second.device);
  for (const n of numbers(8)) devices.push(await connect(n + 2));
  const [here10, there10] = await each(10);
  const more = numbers(TUNNELS - 11).map((n) => n + 10);
  devices.push(...await inTurns(more, connect));
  const last = await costOf(lab, TUNNELS - 1);
  devices.push(last.device);
  const [here, there] = await each(TUNNELS);

  await assertApart(client, TUNNELS);
  const addresses = await tunAddresses(server);
  assertEquals(addresses.length, 2 * TUNNELS);
  assertDistinct("addresses of the server", addresses);
  await inTurns(numbers(TUNNELS), (n) => assertCarries(client, n, devices[n]!));
  const listed = JSON.parse((await pvpnOn(client, ["-l", "--json"])).stdout);
  assertEquals(listed.tunnels.length, TUNNELS);

  // What one costs does not depend on how many there are.
  assert(second.programs.includes("ss"), `${second.programs}`);
  assertEquals(last.programs, second.programs);
  assert(last.here <= second.here + LEEWAY, `${second.here}, ${last.here}`);
  assert(last.there <= second.there + LEEWAY, `${second.there}, ${last.there}`);
  assert(here! <= 1.2 * here10!, `${here10} KiB each, then ${here}`);
  assert(there! <= 1.2 * there10!, `there ${there10} KiB each, then ${there}`);
  await stopAll(client, devices);
});

test(`${CLIENTS} clients of one server, none in another's way`, async ({ server }) => {
  const before = await Promise.all(clients.map((node) => node.snapshot()));
  const devices = await inTurns(
    clients,
    async (node) =>
      deviceUp(await connectOn(node, clients.indexOf(node), HOST)),
  );
  assertEquals(new Set(devices), new Set(["tun0"]));
  const addresses = await tunAddresses(server);
  assertEquals(addresses.length, 2 * CLIENTS);
  assertDistinct("addresses", addresses);
  await inTurns(clients, async (node) => {
    await assertApart(node, 1);
    await assertCarries(node, clients.indexOf(node), "tun0");
  });
  await inTurns(clients, (node) => stopAll(node, ["tun0"]));
  const after = await Promise.all(clients.map((node) => node.snapshot()));
  assertEquals(after, before);
});

test("a pair that many clients name at once is one's, or nobody's", async ({ server }) => {
  const some = clients.slice(0, 10);
  const results = await Promise.all(
    some.map((node) => connectOn(node, 0, HOST, ["-i", "10.9.9.1:10.9.9.2"])),
  );
  const up = some.filter((_, i) => results[i]!.code === 0);
  assert(up.length <= 1, `${up.length} have it`);
  for (const result of results) {
    if (result.code !== 0) {
      assertFails(result, 6, /10\.9\.9\.1:10\.9\.9\.2 coll/);
    }
  }
  assertEquals((await tunAddresses(server)).length, 2 * up.length);
  for (const node of up) {
    await assertCarries(node, 0, "tun0");
    await stopAll(node, ["tun0"]);
  }
});
