/** `-i`: the addresses of a tunnel's two ends. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab, Node } from "../lab/lab.ts";
import {
  addresses,
  assertFails,
  connect,
  deviceOf,
  said,
  suite,
  Tunnel,
  unchanged,
  up,
} from "./helpers.ts";

const test = suite({ jump: false });

/** Proves that both ends have a pair, each from its side, and nothing else. */
async function assertPair(
  lab: Lab,
  device: string,
  local: string,
  peer: string,
): Promise<void> {
  const end = ({ local, address }: { local: string; address?: string }) =>
    `${local}:${address}`;
  const here = await addresses(lab.client, device);
  assertEquals(here.map(end), [`${local}:${peer}`]);
  const there = await deviceOf(lab.server, peer);
  const far = await addresses(lab.server, there.ifname);
  assertEquals(far.map(end), [`${peer}:${local}`]);
  await lab.client.ok(["ping", "-c", "1", "-W", "2", peer]);
}

/** Has routes on a node while something is done. */
async function withRoutes<T>(
  node: Node,
  routes: readonly string[],
  body: () => Promise<T>,
): Promise<T> {
  const ip = (verb: string) =>
    node.ok(["ip", "-batch", "-"], {
      stdin: routes.map((route) => `route ${verb} ${route}\n`).join(""),
    });
  await ip("add");
  try {
    return await body();
  } finally {
    await ip("delete");
  }
}

test("-i any:any chooses a private pair for both ends", async (lab) => {
  for (const args of [[], ["-i", "any:any"]]) {
    await using tunnel = await up(lab, [...args, "root@server"]);
    const { local, peer } = await tunnel.pair();
    assertMatch(local, /^10\.\d+\.\d+\.1$/);
    assertEquals(peer, local.replace(/1$/, "2"));
    await assertPair(lab, tunnel.device, local, peer);
  }
});

test("-i IP1:IP2 gives these addresses", async (lab) => {
  const args = ["-i", "192.168.9.7:172.20.0.1", "root@server"];
  await using tunnel = await up(lab, args);
  await assertPair(lab, tunnel.device, "192.168.9.7", "172.20.0.1");
});

test("-i IP1:any and any:IP2 give that one and choose the other", async (lab) => {
  await using left = await up(lab, ["-i", "10.9.9.1:any", "root@server"]);
  const one = await left.pair();
  assertEquals(one.local, "10.9.9.1");
  await assertPair(lab, left.device, "10.9.9.1", one.peer);
  await using right = await up(lab, ["-iany:10.9.8.1", "root@server"]);
  const two = await right.pair();
  assertEquals(two.peer, "10.9.8.1");
  await assertPair(lab, right.device, two.local, "10.9.8.1");
});

test("a pair that collides on the client is refused before ssh runs", async (lab) => {
  const logins = await lab.logins();
  for (const pair of ["10.77.0.9:10.9.9.2", "10.9.9.1:10.77.0.9"]) {
    assertFails(
      await connect(lab, ["-i", pair, "root@server"]),
      7,
      /10\.77\.0\.9 collides with the route to 10\.77\.0\.0\/24 on this mach/,
      /-i any:any/,
    );
  }
  assertEquals(await lab.logins(), logins);
});

test("a pair that collides on the server is refused", async (lab) => {
  for (const pair of ["10.88.0.7:10.9.9.2", "10.9.9.1:10.88.0.7"]) {
    const result = await unchanged(
      lab,
      () => connect(lab, ["-i", pair, "root@server"]),
    );
    assertFails(
      result,
      6,
      /collides with the route "10\.88\.0\.0\/24" on the server/,
      /-i any:any/,
    );
    assert(said(result, "error").join().includes(pair));
  }
});

test("a pair that another tunnel has is refused, also at the same moment", async (lab) => {
  const args = ["-i", "10.9.9.1:10.9.9.2", "root@server"];
  const results = await Promise.all([connect(lab, args), connect(lab, args)]);
  const codes = results.map(({ code }) => code).sort();
  assertEquals(codes[0], 0, "one of them gets it");
  assert(codes[1] === 6 || codes[1] === 7, `the other ends with ${codes[1]}`);
  assertFails(await connect(lab, args), 7, /collides/);
  const device = results.find(({ code }) => code === 0)!.stdout.split(" ")[0]!;
  await using _ = new Tunnel(lab, device);
  await assertPair(lab, device, "10.9.9.1", "10.9.9.2");
});

for (const end of ["client", "server"] as const) {
  test(`any is never chosen where the ${end} has a route`, async (lab) => {
    const node = lab[end];
    const link = end === "client" ? "c0" : "s1";
    const ten = `10.0.0.0/8 dev ${link} metric 5`;
    const twenty = "unreachable 172.16.0.0/12 table 77";
    for (let i = 0; i < 2; i++) {
      await withRoutes(node, [ten], async () => {
        await using tunnel = await up(lab, ["root@server"]);
        assertMatch((await tunnel.pair()).local, /^172\.(1[6-9]|2\d|3[01])\./);
      });
    }
    await withRoutes(node, [ten, twenty], async () => {
      await using tunnel = await up(lab, ["root@server"]);
      assertMatch((await tunnel.pair()).local, /^192\.168\./);
    });
    await withRoutes(
      node,
      [ten, twenty, "blackhole 192.168.0.0/16"],
      () =>
        unchanged(lab, async () => {
          const result = await connect(lab, ["root@server"]);
          assertFails(
            result,
            end === "client" ? 7 : 6,
            end === "client" ? /no pair/ : /collides/,
            /-i/,
          );
        }),
    );
  });
}

test("half of a default route is no network of its own", async (lab) => {
  const halves = ["0.0.0.0/1 via 10.77.0.1", "128.0.0.0/1 via 10.77.0.1"];
  await withRoutes(lab.client, halves, async () => {
    await using tunnel = await up(lab, ["root@server"]);
    assertMatch((await tunnel.pair()).local, /^10\./);
  });
  const there = ["0.0.0.0/1 via 10.88.0.9", "128.0.0.0/1 via 10.88.0.9"];
  await withRoutes(lab.server, there, async () => {
    await using tunnel = await up(lab, ["root@server"]);
    assertMatch((await tunnel.pair()).local, /^10\./);
  });
});
