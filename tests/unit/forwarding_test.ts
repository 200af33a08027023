import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseRoute } from "../../lib/address.ts";
import { warnIfNotForwarding } from "../../lib/forwarding.ts";
import type { RemoteFacts } from "../../lib/remote.ts";
import type { Log } from "../../lib/log.ts";
import { type Pair, parsePairRequest } from "../../lib/pair.ts";

const PAIR = parsePairRequest("10.1.0.1:10.1.0.2") as Pair;

/** What was said, of a server that forwards what it says. */
function said(
  routes: readonly string[],
  forwarding: RemoteFacts["forwarding"],
): string {
  const lines: string[] = [];
  const add = (text: string) => void lines.push(text);
  const log: Log = { debug: add, info: add, warn: add, error: add, hint: add };
  const facts: RemoteFacts = {
    ...{ device: "tun0", pair: PAIR, ipv6: "peer", told: {}, networks: [] },
    forwarding,
  };
  const server = { address: "192.0.2.1", port: 22 };
  warnIfNotForwarding(routes.map(parseRoute), facts, server, log);
  return lines.join("\n");
}

Deno.test("warnIfNotForwarding() warns where a route leads beyond the server", () => {
  for (const route of ["default", "10.0.0.0/8", "10.1.0.3", "192.0.2.0/24"]) {
    for (const routes of [[route], ["192.0.2.1", route]]) {
      assertMatch(said(routes, { 4: false }), /not forward IPv4: .*\n.*--nat/);
      assertEquals(said(routes, { 4: true, 6: false }), "", route);
      assertEquals(said(routes, {}), "", route);
    }
  }
});

Deno.test("warnIfNotForwarding() knows the families apart", () => {
  const both = ["10.0.0.0/8", "fd88::/64"];
  assertMatch(
    said(both, { 4: false, 6: false }),
    /IPv4 or IPv6.*\n.*ip_forward/,
  );
  const six = said(both, { 4: true, 6: false });
  assertMatch(
    six,
    /not forward IPv6: .*\n.* net\.ipv6\.conf\.all\.forwarding=1/,
  );
  assert(!six.includes("ip_forward"));
  assertEquals(said(["10.0.0.0/8"], { 4: true, 6: false }), "");
});

Deno.test("warnIfNotForwarding() is silent where all that is routed is the server", () => {
  assertEquals(said([], { 4: false, 6: false }), "");
  assertEquals(said(["192.0.2.1", "10.1.0.2"], { 4: false }), "");
});
