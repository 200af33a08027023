import { assertEquals } from "@std/assert";
import { parseRoute } from "../../lib/address.ts";
import { nexthopTo, parseRoutingTable, SHOW_ROUTES } from "../../lib/route.ts";
import { query, withRunner } from "./fake_runner.ts";
import { onlyPvpnError, Seeded } from "./helpers.ts";

const SERVER = { address: "192.0.2.1", port: 22 };

const GET = ["ip", "-4", "-json", "route", "get", "192.0.2.1"];
const PORT = ["ipproto", "tcp", "dport", "22"];
const SHOW = [
  ...[
    "ip",
    "-4",
    "-json",
    "route",
    "show",
    "table",
    "main",
    "match",
    "192.0.2.1",
  ],
];
const json = (...routes: unknown[]) => ({ stdout: JSON.stringify(routes) });

Deno.test("parseRoutingTable() leaves out what stands for a default route", () => {
  const { taken, tables } = parseRoutingTable(JSON.stringify([
    { dst: "default", gateway: "192.0.2.1", dev: "eth0", flags: [] },
    { dst: "0.0.0.0/1", dev: "tun7" },
    { dst: "128.0.0.0/1", dev: "tun7" },
    { dst: "10.0.0.0/8", dev: "eth0", table: "10007" },
    { type: "local", dst: "198.51.100.7", dev: "eth0", table: "local" },
    { type: "unreachable", dst: "172.16.0.0/12" },
  ]));
  assertEquals<unknown>(
    taken,
    ["10.0.0.0/8", "198.51.100.7", "172.16.0.0/12"].map(parseRoute),
  );
  assertEquals(tables, new Set(["10007", "local"]));
  assertEquals(parseRoutingTable("").taken, []);
  assertEquals(SHOW_ROUTES.slice(0, 3), ["ip", "-4", "-json"]);
});

Deno.test("parseRoutingTable() throws nothing but errors for users", () => {
  const seeded = new Seeded(17);
  const pieces = [
    "[",
    "]",
    "{",
    "}",
    '"dst"',
    ":",
    '"default"',
    ",",
    "1",
    "null",
  ];
  const texts = [
    ...[
      "Usage: ip",
      "[{}]",
      '[{"dst":1}]',
      "[null]",
      "{}",
      "null",
      '"x"',
      "[1]",
    ],
    ...Array.from({ length: 2000 }, () => seeded.text(pieces, 6)),
  ];
  for (const text of texts) onlyPvpnError(() => parseRoutingTable(text), text);
});

Deno.test("nexthopTo() takes the way that the kernel would take", async () => {
  const get = (route: unknown) =>
    withRunner(
      [query([...GET, ...PORT], json(route))],
      (runner) => nexthopTo(SERVER, "tun0", runner),
    );
  assertEquals(
    await get({ dst: "192.0.2.1", gateway: "198.51.100.1", dev: "eth0" }),
    { gateway: "198.51.100.1", device: "eth0" },
  );
  assertEquals(await get({ dst: "192.0.2.1", dev: "eth0", type: "unicast" }), {
    device: "eth0",
  });
});

Deno.test("nexthopTo() looks behind the tunnel's own routes", async () => {
  const behind = json(
    { dst: "default", gateway: "198.51.100.9", dev: "eth9", metric: 50 },
    { dst: "default", gateway: "198.51.100.1", dev: "eth0" },
    { dst: "192.0.2.0/24", dev: "tun0" },
    { type: "unreachable", dst: "192.0.2.0/24", dev: "lo" },
    { dst: "192.0.0.0/16", gateway: "198.51.100.2", dev: "eth1", metric: 9 },
    { dst: "192.0.0.0/16", gateway: "198.51.100.3", dev: "eth2", metric: 5 },
  );
  const own = json({ dst: "192.0.2.1", gateway: "10.1.0.2", dev: "tun0" });
  for (const got of [own, { status: 2, stderr: "No route to host" }]) {
    assertEquals(
      await withRunner(
        [query([...GET, ...PORT], got), query(SHOW, behind)],
        (runner) => nexthopTo(SERVER, "tun0", runner),
      ),
      { gateway: "198.51.100.3", device: "eth2" },
    );
  }
  const server = { address: "192.0.2.1" };
  const none = await withRunner(
    [query(GET, own), query(SHOW, json())],
    (runner) => nexthopTo(server, "tun0", runner),
  );
  assertEquals(none, undefined);
});

Deno.test("nexthopTo() asks for IPv6 in IPv6", async () => {
  const argv = ["ip", "-6", "-json", "route", "get", "2001:db8::1", ...PORT];
  const route = { dst: "2001:db8::1", gateway: "fe80::1", dev: "eth0" };
  const found = await withRunner(
    [query(argv, json(route))],
    (runner) => nexthopTo({ address: "2001:db8::1", port: 22 }, "tun0", runner),
  );
  assertEquals(found, { gateway: "fe80::1", device: "eth0" });
});
