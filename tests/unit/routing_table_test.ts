import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatPrefix, parseRoute, type Prefix } from "../../lib/address.ts";
import { PvpnError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import {
  checkRoutes,
  parseRoutingTable,
  SHOW_ROUTES,
} from "../../lib/routing_table.ts";
import { system } from "./helpers.ts";

const ROUTES = JSON.stringify([
  { dst: "default", gateway: "192.0.2.1", dev: "eth0", flags: [] },
  { dst: "0.0.0.0/1", dev: "tun7" },
  { dst: "128.0.0.0/1", dev: "tun7" },
  { dst: "10.0.0.0/8", dev: "eth0", table: "10007" },
  { type: "local", dst: "198.51.100.7", dev: "eth0", table: "local" },
  { type: "unreachable", dst: "172.16.0.0/12" },
  { dst: "192.168.1.0/24", dev: "wlan0", scope: "link" },
  { dst: "192.168.9.0/24", gateway: "192.168.1.9", dev: "wlan0" },
  { dst: "192.168.7.2", dev: "wg0", scope: "link" },
  { dst: "fe80::/64", dev: "wlan0", pref: "medium" },
  { dst: "fd12::/64", dev: "wlan0", pref: "medium" },
  { type: "multicast", dst: "ff00::/8", dev: "wlan0", table: "local" },
]);

Deno.test("parseRoutingTable() leaves out what stands for a default route", () => {
  const { taken, main, tables } = parseRoutingTable(ROUTES);
  assertEquals(taken.map(formatPrefix), [
    ...["10.0.0.0/8", "198.51.100.7/32", "172.16.0.0/12", "192.168.1.0/24"],
    ...["192.168.9.0/24", "192.168.7.2/32", "fe80::/64", "fd12::/64"],
    "ff00::/8",
  ]);
  assertEquals(main.map((p) => `${formatPrefix(p)} ${p.attached}`), [
    ...["172.16.0.0/12 false", "192.168.1.0/24 true", "192.168.9.0/24 false"],
    ...["192.168.7.2/32 true", "fe80::/64 true", "fd12::/64 true"],
  ]);
  assertEquals(tables, new Set(["10007", "local"]));
  assertEquals(parseRoutingTable(""), {
    ...{ taken: [], main: [], ipv6: false, tables: new Set<string>() },
  });
});

Deno.test("SHOW_ROUTES shows both families", async () => {
  const { stdout } = await system.query(SHOW_ROUTES);
  const { taken } = parseRoutingTable(stdout);
  // Of the loopback device: what every machine has, unless it is down.
  assert(taken.some(({ family }) => family === 4));
  const ip6 = await system.query(["ip", "-6", "route", "show", "table", "all"]);
  assertEquals(
    taken.some(({ family }) => family === 6),
    ip6.stdout.trim() !== "",
  );
});

/** What checkRoutes() tells about routes. */
function told(routes: readonly string[], exclude: readonly string[] = []) {
  const lines: string[] = [];
  const log = {
    warn: (text: string) => lines.push(text),
    hint: (text: string) => lines.push(text),
  } as unknown as Log;
  checkRoutes(
    routes.map(parseRoute),
    exclude.map((text) => parseRoute(text) as Prefix),
    parseRoutingTable(ROUTES),
    log,
  );
  return lines;
}

Deno.test("checkRoutes() refuses what is routed already, and nothing else", () => {
  for (const taken of ["172.16.0.0/12", "192.168.9.0/24", "fd12::/64"]) {
    const error = assertThrows(
      () => told(["203.0.113.0/24", taken]),
      PvpnError,
    );
    assertMatch(error.message, /has a route to .* already/);
    assertEquals(error.code, 7);
  }
  assertEquals(told(["10.0.0.0/8", "192.168.1.0/25", "172.16.0.0/13"]), []);
  assertEquals(told(["default"]), []);
});

Deno.test("checkRoutes() tells of this machine's own networks, which -x keeps outside", () => {
  assertEquals(told(["192.168.0.0/16", "fc00::/7"]), [
    "this machine is in 192.168.1.0/24, which 192.168.0.0/16 sends through " +
    "the tunnel",
    "to keep it outside: -x 192.168.1.0/24",
    "this machine is in fd12::/64, which fc00::/7 sends through the tunnel",
    "to keep it outside: -x fd12::/64",
  ]);
  assertEquals(told(["192.168.0.0/16"], ["192.168.0.0/22"]), []);
  assertEquals(told(["fe80::/10"]), []);
});

Deno.test("parseRoutingTable() refuses what is no list of routes", () => {
  const texts = ["Usage: ip", "[{}]", '[{"dst":1}]', "[null]", "{}", "null"];
  for (const text of [...texts, '"x"', "[1]"]) {
    assertThrows(() => parseRoutingTable(text), PvpnError, "no list of routes");
  }
});
