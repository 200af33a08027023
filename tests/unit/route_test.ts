import { tableOf } from "../../lib/route_numbers.ts";
import { assertEquals, assertThrows } from "@std/assert";
import { parseRoute } from "../../lib/address.ts";
import { PvpnError } from "../../lib/errors.ts";
import { type Pair, parsePairRequest } from "../../lib/pair.ts";
import {
  coversServer,
  planRoutes,
  type RouteRequest,
} from "../../lib/route.ts";
import { parseUndoStep } from "../../lib/undo.ts";
import { onlyPvpnError } from "./helpers.ts";

const SERVER = { address: "192.0.2.1", port: 22 };

/** The plan for some routes, as lines of `ip -FAMILY ... add`. */
function plan(
  routes: readonly string[],
  more: Partial<RouteRequest> = {},
): string[] {
  const steps = planRoutes({
    ...{ device: "tun0", slot: 3, server: SERVER, nexthop: undefined },
    pair: parsePairRequest("10.1.0.1:10.1.0.2") as Pair,
    routes: routes.map(parseRoute),
    ...more,
  });
  for (const step of steps) {
    // What is planned must be undone from a state file.
    assertEquals<unknown>(
      parseUndoStep(JSON.parse(JSON.stringify(step))),
      step,
    );
  }
  return steps.map(({ family, object, words }) =>
    `-${family} ${object} ${words.join(" ")}`
  );
}

const DEFAULT = [
  "-4 route unreachable default metric 4278198275 table 10003",
  "-4 route default via 10.1.0.2 dev tun0 table 10003",
  "-4 rule priority 11000 table main suppress_prefixlength 0",
  "-6 rule priority 11000 to fc00::/7 table main suppress_prefixlength 0",
  "-6 rule priority 11000 to fe80::/10 table main suppress_prefixlength 0",
  "-6 rule priority 11001 unreachable",
  "-4 rule priority 11001 table 10003",
];
const PIN = "priority 10003 to 192.0.2.1/32 ipproto tcp dport 22 table";

Deno.test("planRoutes() plans nothing for no routes", () => {
  assertEquals(plan([]), []);
});

Deno.test("planRoutes() routes all but the connection itself, and closes before it opens", () => {
  assertEquals(plan(["default"]), [`-4 rule ${PIN} main`, ...DEFAULT]);
});

Deno.test("planRoutes() pins the whole address where the port is not known", () => {
  assertEquals(plan(["default"], { server: { address: "192.0.2.1" } }), [
    ...["-4 rule priority 10003 to 192.0.2.1/32 table main", ...DEFAULT],
  ]);
});

Deno.test("planRoutes() pins an IPv6 server with an IPv6 rule, before IPv6 is closed", () => {
  const lines = plan(["default"], {
    server: { address: "2001:db8::1", port: 22 },
  });
  assertEquals(lines, [
    "-6 rule priority 10003 to 2001:db8::1/128 ipproto tcp dport 22 table main",
    ...DEFAULT,
  ]);
});

Deno.test("planRoutes() needs no pin for a server that is no other machine", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1"]) {
    assertEquals(plan(["default"], { server: { address, port: 22 } }), DEFAULT);
  }
});

Deno.test("planRoutes() gives each network an unreachable twin, longest first", () => {
  assertEquals(plan(["10.0.0.0/8", "198.51.100.7", "10.20.0.0/16"]), [
    "-4 route unreachable 198.51.100.7/32 metric 4278198275",
    "-4 route 198.51.100.7/32 via 10.1.0.2 dev tun0",
    "-4 route unreachable 10.20.0.0/16 metric 4278198275",
    "-4 route 10.20.0.0/16 via 10.1.0.2 dev tun0",
    "-4 route unreachable 10.0.0.0/8 metric 4278198275",
    "-4 route 10.0.0.0/8 via 10.1.0.2 dev tun0",
  ]);
});

Deno.test("planRoutes() leads to a server inside of a network by the way it has", () => {
  const routed = [
    "-4 route unreachable 192.0.0.0/8 metric 4278198275",
    "-4 route 192.0.0.0/8 via 10.1.0.2 dev tun0",
  ];
  assertEquals(
    plan(["192.0.0.0/8"], {
      nexthop: { gateway: "198.51.100.1", device: "eth0" },
    }),
    [
      "-4 route 192.0.2.1/32 via 198.51.100.1 dev eth0 table 10003",
      `-4 rule ${PIN} 10003`,
      ...routed,
    ],
  );
  assertEquals(plan(["192.0.0.0/8"], { nexthop: { device: "eth0" } }), [
    "-4 route 192.0.2.1/32 dev eth0 table 10003",
    `-4 rule ${PIN} 10003`,
    ...routed,
  ]);
});

Deno.test("planRoutes() refuses to route the connection into itself", () => {
  const error = assertThrows(() => plan(["192.0.2.1"]), PvpnError);
  assertEquals(error.code, 7);
});

Deno.test("planRoutes() pins once for default and a network with the server in it", () => {
  const lines = plan(["default", "192.0.0.0/8"], {
    nexthop: { device: "eth0" },
  });
  assertEquals(
    lines.filter((line) => line.includes("priority 10003")).length,
    1,
  );
  assertEquals(lines[1], `-4 rule ${PIN} 10003`);
  assertEquals(lines.slice(-7), DEFAULT);
});

Deno.test("coversServer() looks at each route", () => {
  const covers = (...routes: string[]) =>
    coversServer(routes.map(parseRoute), SERVER);
  assertEquals(covers(), { byDefault: false, byNetwork: false });
  assertEquals(covers("default"), { byDefault: true, byNetwork: false });
  assertEquals(covers("192.0.2.0/24"), { byDefault: false, byNetwork: true });
  assertEquals(covers("192.0.3.0/24"), { byDefault: false, byNetwork: false });
});

Deno.test("planRoutes() plans no step that a state file cannot hold, whatever a device is called", () => {
  // The kernel takes all but "/", ":" and blanks.
  for (
    const device of [
      "wlan0.7",
      "br-0",
      "a_b",
      "wlan+0",
      "a#b",
      "a;b",
      "\u00e9th0",
    ]
  ) {
    onlyPvpnError(() => plan(["192.0.0.0/8"], { nexthop: { device } }), device);
  }
});

Deno.test("tableOf() gives each slot its own table", () => {
  assertEquals([tableOf(0), tableOf(999)], [10000, 10999]);
});
