/**
 * ssh-gso under load for as long as PVPN_SOAK says, in seconds; without it, ten
 * minutes in CI, and 20 seconds elsewhere.
 */
import { assert, assertEquals } from "@std/assert";
import { ADDRESS, type Node } from "../lab/lab.ts";
import { echoes } from "../lab/load.ts";
import { Seeded } from "../unit/fuzz.ts";
import { suite, typed } from "./helpers.ts";

const test = suite({ jump: false });
const { up } = typed("ssh-gso");

const SECONDS = Number(
  Deno.env.get("PVPN_SOAK") || (Deno.env.get("CI") === "true" ? 600 : 20),
);

/** The resident memory of a node's pump, in kB. */
async function resident(node: Node): Promise<number> {
  const all = await node.processes();
  const pump = all.find(({ comm }) => comm.startsWith("pvpn-pump"));
  assert(pump, `the ${node.name} has no pump`);
  const status = await node.readFile(`/proc/${pump.pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

test(`ssh-gso holds ${SECONDS} s of load, and grows no more`, async (lab) => {
  const { client, server } = lab;
  const networks = ["10.88.0.0/24", "fd88::/64"];
  await using tunnel = await up(lab, ["root@server", ...networks]);
  const seeded = new Seeded(10);
  const round = async () => {
    const load = () => ({
      streams: seeded.pick([1, 1, 4, 20, 60]),
      bytes: seeded.pick([100, 10_000, 200_000, 1_000_000]),
      seconds: 60,
    });
    const ping = client.ok([
      ...["ping", "-n", "-q", "-c", "50", "-i", "0.02", "-W", "5"],
      ...["-s", String(seeded.pick([0, 56, 1400, 4000])), ADDRESS.inet],
    ]);
    await Promise.all([
      echoes(client, ADDRESS.inet, load()),
      echoes(client, ADDRESS.inet6, load()),
      ping,
    ]);
  };
  const end = performance.now() + SECONDS * 1000;
  await round();
  const early = [await resident(client), await resident(server)];
  do await round(); while (performance.now() < end);
  for (const [i, node] of [client, server].entries()) {
    const late = await resident(node);
    // Buffers have the largest size that they ever had.
    const grown = late - (early[i] ?? 0);
    assert(grown < 8192, `the ${node.name}'s pump grew by ${grown} kB`);
    assert(late < 20_480, `the ${node.name}'s pump has ${late} kB`);
  }
  const path = `/run/pvpn/${tunnel.device}.json`;
  const { phase, reconnects } = JSON.parse(await client.readFile(path));
  assertEquals({ phase, reconnects }, { phase: "up", reconnects: 0 });
});
