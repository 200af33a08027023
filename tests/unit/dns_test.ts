import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  formatAddress,
  formatRoute,
  parseAddress,
  parseRoute,
} from "../../lib/address.ts";
import { chooseResolvers, withResolvers } from "../../lib/dns.ts";
import { ExitCode, PvpnError } from "../../lib/errors.ts";
import { Journal } from "../../lib/journal.ts";
import type { Log } from "../../lib/log.ts";
import { type Pair, parsePairRequest } from "../../lib/pair.ts";
import type { RemoteFacts } from "../../lib/remote.ts";
import type { ServerResolvers } from "../../lib/resolver.ts";
import type { DnsState } from "../../lib/dns_state.ts";
import type { TunnelState } from "../../lib/state.ts";
import type { UpRequest } from "../../lib/up.ts";
import { NEW } from "./sample_state.ts";

const DNS: DnsState = { inherit: true, addresses: [], domains: [] };
const owners = ["file"] as const;

const addresses = (...texts: string[]) => texts.map((t) => parseAddress(t)!);

/** What is chosen, as texts, and what is said. */
function choose(
  dns: DnsState | undefined,
  told: Partial<ServerResolvers> | undefined,
  more: {
    state?: Partial<TunnelState>;
    ipv6?: RemoteFacts["ipv6"];
    resume?: boolean;
    dry?: boolean;
  } = {},
) {
  const said: string[] = [];
  const tell = (text: string) => void said.push(text);
  const log: Log = {
    debug() {},
    info: tell,
    warn: tell,
    error: tell,
    hint: tell,
  };
  const state = { ...NEW, ...more.state, ...(dns && { dns }) };
  const request = {
    journal: new Journal(undefined, state),
    runner: { dry: more.dry ?? false },
    resume: more.resume ?? false,
    log,
  } as UpRequest;
  const none = { addresses: [], domains: [], nonsense: [] };
  const chosen = chooseResolvers(request, {
    ...{
      device: "tun0",
      told: {},
      forwarding: {},
      networks: [],
      ipv6: more.ipv6 ?? "none",
    },
    pair: parsePairRequest("10.1.0.1:10.1.0.2") as Pair,
    ...(told && { resolvers: { ...none, ...told } }),
  });
  return {
    chosen: chosen &&
      [chosen.addresses.map(formatAddress), chosen.domains],
    said,
  };
}

Deno.test("chooseResolvers() leaves names alone unless asked", () => {
  assertEquals(choose(undefined, undefined), { chosen: undefined, said: [] });
});

Deno.test("chooseResolvers() takes the server's, or those that were typed", () => {
  const told = { addresses: addresses("10.0.0.53"), domains: ["lab.test"] };
  assertEquals(choose(DNS, told), {
    chosen: [["10.0.0.53"], ["lab.test"]],
    said: [],
  });
  const both = { ...DNS, addresses: ["10.0.0.54"] };
  assertEquals(choose(both, told).chosen, [["10.0.0.54"], ["lab.test"]]);
  const typed = { ...both, inherit: false };
  assertEquals(choose(typed, undefined).chosen, [["10.0.0.54"], []]);
  // A stub is no hindrance where there is another.
  assertEquals(choose(both, { stub: "127.0.0.1" }).chosen, [["10.0.0.54"], []]);
});

Deno.test("chooseResolvers() takes three, and says which it leaves out", () => {
  const many = addresses(
    "fd00::53",
    "10.1.0.1",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.4",
  );
  const { chosen, said } = choose(DNS, { addresses: many });
  assertEquals(chosen?.[0], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  assertMatch(said[0]!, /fd00::53 is left out: IPv6 does not/);
  assertMatch(said[1]!, /10\.1\.0\.1 is left out: this end/);
  assertEquals(said.length, 2);
});

Deno.test("chooseResolvers() takes IPv6 where the tunnel has it", () => {
  const told = { addresses: addresses("fd00::53") };
  const state = { pair6: "fd01::1,fd01::2" };
  assertEquals(choose(DNS, told, { state, ipv6: "way" }).chosen?.[0], [
    "fd00::53",
  ]);
  for (const ipv6 of ["none", "peer"] as const) {
    assertThrows(() => choose(DNS, told, { state, ipv6 }), PvpnError);
  }
  assertThrows(() => choose(DNS, told, { ipv6: "way" }), PvpnError);
});

Deno.test("chooseResolvers() does not take what -s keeps outside", () => {
  const told = { addresses: addresses("192.0.2.9", "10.0.0.53") };
  const { chosen, said } = choose(DNS, told, {
    state: { firstHop: "192.0.2.9" },
  });
  assertEquals(chosen?.[0], ["10.0.0.53"]);
  assertMatch(said.join(), /-s keeps/);
});

Deno.test("chooseResolvers() refuses a server that knows nobody", () => {
  const refusal = (told: Partial<ServerResolvers>) => {
    const error = assertThrows(() => choose(DNS, told), PvpnError);
    assertEquals(error.code, ExitCode.dns);
    assertMatch(error.hints.join(), /--dns ADDRESS/);
    return error.message;
  };
  assertMatch(
    refusal({ stub: "127.0.0.1" }),
    /"h" asks itself .* 127\.0\.0\.1/,
  );
  assertMatch(refusal({}), /"h" names no resolver/);
  assertMatch(refusal({ addresses: addresses("fd00::53") }), /none of the/);
});

Deno.test("chooseResolvers() keeps what is in use when a reconnect finds none", () => {
  const inUse = { addresses: ["10.0.0.53"], domains: ["lab.test"] };
  const told = { stub: "127.0.0.1", nonsense: ["x"] };
  const names = { owners, guard: true, inUse };
  const again = choose(DNS, told, { resume: true, state: { names } });
  assertEquals(again, { chosen: [["10.0.0.53"], ["lab.test"]], said: [] });
});

Deno.test("chooseResolvers() says what a server wrote that makes no sense", () => {
  const told = { addresses: addresses("10.0.0.53"), nonsense: ["8.8.8.8;"] };
  assertMatch(choose(DNS, told).said.join(), /"h" .*"8\.8\.8\.8;": left out/);
});

Deno.test("chooseResolvers() has a stand-in for a dry run", () => {
  const { chosen, said } = choose(DNS, undefined, { dry: true });
  assertEquals(chosen, [["192.0.2.53"], []]);
  assertMatch(said.join(), /192\.0\.2\.53 stands for/);
});

Deno.test("withResolvers() adds each resolver once, and those before", () => {
  const inUse = { addresses: ["10.0.0.1", "10.0.0.2"], domains: [] };
  const names = { owners, guard: true, inUse };
  const resolvers = {
    addresses: addresses("10.0.0.2", "192.0.2.1"),
    domains: [],
  };
  const routes = ["default", "192.0.2.1"].map(parseRoute);
  assertEquals(
    withResolvers(routes, resolvers, { ...NEW, names }).map(formatRoute),
    ["default", "192.0.2.1", "10.0.0.2", "10.0.0.1"],
  );
  assertEquals(withResolvers(routes, undefined, NEW), routes);
});
