import { assert, assertEquals } from "@std/assert";
import { parseAddress, parseRoute, type Prefix } from "../../lib/address.ts";
import { type Pair, parsePair6, parsePairRequest } from "../../lib/pair.ts";
import { planOutside, planRoutes, type RouteRequest } from "../../lib/route.ts";
import {
  isPriority,
  prioritiesOf,
  SITE_PRIORITY,
  tableOf,
} from "../../lib/route_numbers.ts";
import type { Flow } from "../../lib/tunnel.ts";
import { parseUndoStep } from "../../lib/undo_step.ts";

const SERVER = { address: "192.0.2.1", port: 22 };
const PAIR = parsePairRequest("10.1.0.1:10.1.0.2") as Pair;
const PAIR6 = parsePair6("fd01::1,fd01::2")!;

/** The plan for some routes, as lines of `ip -FAMILY ... add`. */
function plan(
  routes: readonly string[],
  { exclude = [], ...more }: Omit<Partial<RouteRequest>, "exclude"> & {
    exclude?: readonly string[];
  } = {},
): string[] {
  const steps = planRoutes({
    ...{ device: "tun0", slot: 3, server: SERVER, flows: [], pairs: [PAIR] },
    ...{ default6: "closed", routes: routes.map(parseRoute) },
    exclude: exclude.map((text) => parseRoute(text) as Prefix),
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
      .replace(/ proto(col)? kernel$/, " !")
  );
}

const METRIC = "metric 4278198275 table 10003 !";
const VIA = "via 10.1.0.2 dev tun0 onlink table 10003 !";
const SITES = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16"]
  .concat("172.16.0.0/12", "192.168.0.0/16")
  .map((to) =>
    `-4 rule priority 11001 to ${to} table main suppress_prefixlength 0 !`
  );
const SITES6 = ["fc00::/7", "fe80::/10"].map((to) =>
  `-6 rule priority 11001 to ${to} table main suppress_prefixlength 0 !`
);
const CLOSED6 = `-6 route unreachable ::/0 ${METRIC}`;
const DEFAULT = [
  `-4 route unreachable 0.0.0.0/0 ${METRIC}`,
  `-4 route 0.0.0.0/0 ${VIA}`,
];
const RULES6 = [...SITES6, "-6 rule priority 11002 table 10003 !"];
const RULES4 = [...SITES, "-4 rule priority 11002 table 10003 !"];
const STEP = [
  "-4 rule priority 11003 iif tun0 nop !",
  "-4 rule priority 11000 to 192.0.2.1/32 ipproto tcp dport 22 goto 11003 !",
];

Deno.test("planRoutes() plans nothing for no routes", () => {
  assertEquals(plan([]), []);
  assertEquals(plan([], { exclude: ["10.0.0.0/8"] }), []);
});

Deno.test("planRoutes() routes all but the connection itself, and closes before it opens", () => {
  assertEquals(plan(["default"]), [
    ...[CLOSED6, ...DEFAULT, ...RULES6, ...STEP, ...RULES4],
  ]);
});

Deno.test("planRoutes() routes IPv6 under default where it may, or leaves it alone", () => {
  const pairs = [PAIR, PAIR6];
  const via = "via fd01::2 dev tun0 onlink table 10003 !";
  assertEquals(plan(["default"], { pairs, default6: "open" }), [
    ...[CLOSED6, `-6 route ::/0 ${via}`, ...DEFAULT],
    ...[...RULES6, ...STEP, ...RULES4],
  ]);
  assertEquals(plan(["default"], { pairs, default6: "closed" })[1], DEFAULT[0]);
  assertEquals(plan(["default"], { pairs, default6: "outside" }), [
    ...[...DEFAULT, ...STEP, ...RULES4],
  ]);
});

Deno.test("planRoutes() steps over its rules with the whole address where the port is not known", () => {
  const lines = plan(["default"], { server: { address: "192.0.2.1" } });
  assertEquals(
    lines.filter((line) => line.includes("goto")),
    ["-4 rule priority 11000 to 192.0.2.1/32 goto 11003 !"],
  );
});

Deno.test("planRoutes() steps over IPv6 rules with an IPv6 server", () => {
  const server = { address: "2001:db8::1", port: 22 };
  assertEquals(plan(["default"], { server }), [
    ...[CLOSED6, ...DEFAULT, "-6 rule priority 11003 iif tun0 nop !"],
    "-6 rule priority 11000 to 2001:db8::1/128 ipproto tcp dport 22 " +
    "goto 11003 !",
    ...[...RULES6, ...RULES4],
  ]);
});

Deno.test("planRoutes() steps over its rules with all that carries the tunnel", () => {
  const flow = (text: string, port: string): Flow => (
    { protocol: "udp", address: parseAddress(text)!, port }
  );
  const flows = [flow("192.0.2.1", "51820"), flow("2001:db8::1", "7")];
  const steps = [
    "-6 rule priority 11003 iif tun0 nop !",
    "-6 rule priority 11000 to 2001:db8::1/128 ipproto udp dport 7 goto 11003 !",
    ...STEP,
    "-4 rule priority 11000 to 192.0.2.1/32 ipproto udp dport 51820 " +
    "goto 11003 !",
  ];
  const planned = plan(["default"], { flows });
  assertEquals(planned.filter((line) => /nop|goto/.test(line)), steps);
  // By itself: what of these is not ssh's.
  const alone = planOutside({
    ...{ device: "tun0", flows, routes: ["default"], default6: "closed" },
  });
  const lines = alone.map((step) => step.words.join(" "));
  assertEquals(lines.length, 4);
  for (const line of lines) assert(line.includes("nop") || /udp/.test(line));
  assertEquals(
    planOutside({
      ...{ device: "tun0", flows, routes: [parseRoute("10.0.0.0/8")] },
      default6: "closed",
    }),
    [],
  );
});

Deno.test("planRoutes() needs no step for a server that is no other machine", () => {
  for (const address of ["127.0.0.1", "127.9.9.9", "::1"]) {
    assertEquals(
      plan(["default"], { server: { address, port: 22 } }),
      [CLOSED6, ...DEFAULT, ...RULES6, ...RULES4],
    );
  }
});

Deno.test("planRoutes() gives each network an unreachable twin and a rule, longest first", () => {
  assertEquals(plan(["10.0.0.0/8", "198.51.100.7", "10.20.0.0/16"]), [
    `-4 route unreachable 198.51.100.7/32 ${METRIC}`,
    `-4 route 198.51.100.7/32 ${VIA}`,
    `-4 route unreachable 10.20.0.0/16 ${METRIC}`,
    `-4 route 10.20.0.0/16 ${VIA}`,
    `-4 route unreachable 10.0.0.0/8 ${METRIC}`,
    `-4 route 10.0.0.0/8 ${VIA}`,
    "-4 rule priority 10001 to 198.51.100.7/32 table 10003 !",
    "-4 rule priority 10049 to 10.20.0.0/16 table 10003 !",
    "-4 rule priority 10073 to 10.0.0.0/8 table 10003 !",
  ]);
});

Deno.test("planRoutes() gives what is beyond the server its own MTU", () => {
  const networks = ["10.0.0.0/8", "2001:db8::/32"];
  const steps = plan(networks, { mtu: 1500, pairs: [PAIR, PAIR6] });
  assertEquals(steps.filter((line) => / via /.test(line)), [
    "-6 route 2001:db8::/32 via fd01::2 dev tun0 onlink mtu 1500 table 10003 !",
    "-4 route 10.0.0.0/8 via 10.1.0.2 dev tun0 onlink mtu 1500 table 10003 !",
  ]);
  const others = steps.filter((line) => !/ via /.test(line));
  assert(others.every((line) => !/mtu/.test(line)));
});

Deno.test("planRoutes() closes an IPv6 network that has no pair", () => {
  assertEquals(plan(["fd88::/64"]), [
    `-6 route unreachable fd88::/64 ${METRIC}`,
    "-6 rule priority 10193 to fd88::/64 table 10003 !",
  ]);
});

Deno.test("planRoutes() steps over each network that has the server in it", () => {
  const goto = (from: number, to: number) => [
    `-4 rule priority ${to} iif tun0 nop !`,
    `-4 rule priority ${from} to 192.0.2.1/32 ipproto tcp dport 22 goto ${to} !`,
  ];
  const lines = plan(["192.0.0.0/8", "192.0.2.1", "10.0.0.0/8"]);
  assertEquals(lines.filter((line) => line.includes("rule")), [
    ...goto(10000, 10002),
    "-4 rule priority 10001 to 192.0.2.1/32 table 10003 !",
    ...goto(10072, 10074),
    "-4 rule priority 10073 to 192.0.0.0/8 table 10003 !",
    "-4 rule priority 10073 to 10.0.0.0/8 table 10003 !",
  ]);
});

Deno.test("planRoutes() lets the lookup go on for what is excluded", () => {
  const lines = plan(["10.0.0.0/8"], {
    exclude: ["10.9.0.0/16", "fd00::/8", "192.0.2.0/24"],
  });
  assertEquals(lines.filter((line) => line.includes("throw")), [
    "-4 route throw 10.9.0.0/16 table 10003 !",
    "-4 route throw 192.0.2.0/24 table 10003 !",
  ]);
});

Deno.test("priorities are pvpn's own, of three for each length, longest first", () => {
  const of = (text: string) => prioritiesOf(parseRoute(text) as Prefix);
  assertEquals(of("2001:db8::1"), {
    step: 10000,
    table: 10001,
    landing: 10002,
  });
  assertEquals(of("8000::/1").landing, 10383);
  const all = { family: 6, value: 0n, length: 0 } as const;
  assertEquals(prioritiesOf(all).table - 1, SITE_PRIORITY);
  for (const value of Object.values(prioritiesOf(all))) {
    assertEquals(isPriority(value), true);
  }
  assertEquals([9999, 11004, 10000.5, NaN].map(isPriority), [
    ...[false, false, false, false],
  ]);
  assertEquals([tableOf(0), tableOf(999)], [10000, 10999]);
});
