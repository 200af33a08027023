import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatAddress, parseAddress, parseRoute } from "../../lib/address.ts";
import type { ConnectRequest } from "../../lib/connect.ts";
import { parseSurvey, planNames, surveyNames } from "../../lib/dns_plan.ts";
import { guardRules } from "../../lib/dns_set.ts";
import { ExitCode, PvpnError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { parseRoutingTable } from "../../lib/routing_table.ts";
import { query, withRunner } from "./fake_runner.ts";

import { REQUEST } from "./sample_state.ts";

/** Lines of the script, for a machine of some kind. */
const STUB = ["resolver=192.168.1.1", "own=127.0.0.53", "resolved=yes"];
const FILE = ["resolver=192.168.1.1", "own="];
const parse = (lines: readonly string[]) => parseSurvey(lines.join("\n"));

Deno.test("parseSurvey() tells who decides whom programs ask", () => {
  const owners = (...lines: string[]) => parse(lines).owners;
  assertEquals(owners(...STUB), ["resolved"]);
  assertEquals(owners("own=127.0.0.54", "resolved=yes"), ["resolved"]);
  assertEquals(owners(...FILE), ["file"]);
  // It is there, but does not answer; or programs go past it.
  assertEquals(owners("own=127.0.0.53"), ["file"]);
  assertEquals(owners(...FILE, "resolved=yes"), ["resolved", "file"]);
  assertEquals(owners("own=127.0.0.1", "resolved=yes"), ["resolved", "file"]);
  assertEquals(owners(...FILE, "resolvconf=openresolv 3.12.0"), ["openresolv"]);
  assertEquals(owners(...FILE, "resolvconf=Debian resolvconf 1.91"), ["file"]);
  assertEquals(owners(...FILE, "resolvconf="), ["file"]);
  assertEquals(owners(), ["file"]);
});

Deno.test("surveyNames() asks nftables only where all names are to be kept in", async () => {
  const script = query(["sh", "-c", /resolv_conf/], {
    stdout: FILE.join("\n"),
  });
  const nft = (status: number) => ({
    ...query(["nft", "-c", "-f", "-"], { status }),
    input: guardRules("tun0"),
  });
  const dns = { inherit: true, addresses: [], domains: [] };
  for (const status of [0, 1]) {
    const survey = await withRunner(
      [script, nft(status)],
      (runner) => surveyNames(dns, runner),
    );
    assertEquals(survey.guard, status === 0);
    assertEquals(
      survey.resolvers.addresses.map(formatAddress),
      ["192.168.1.1"],
    );
  }
  for (const other of [undefined, { ...dns, domains: ["corp.test"] }]) {
    const survey = await withRunner(
      [script],
      (runner) => surveyNames(other, runner),
    );
    assertEquals(survey.guard, false);
  }
});

const ROUTES = parseRoutingTable(JSON.stringify([
  { dst: "default", gateway: "192.168.1.254", dev: "eth0" },
  { dst: "192.168.1.0/24", dev: "eth0" },
  { dst: "198.51.100.0/24", dev: "eth0" },
]));

/** What planNames() makes of it, and what it says. */
function plan(
  request: Partial<ConnectRequest>,
  lines: readonly string[],
  guard = true,
) {
  const told: string[] = [];
  const tell = (text: string) => void told.push(text);
  const log: Log = {
    debug() {},
    info: tell,
    warn: tell,
    error: tell,
    hint: tell,
  };
  const names = planNames(
    { ...REQUEST, ...request },
    { ...parse(lines), guard },
    ROUTES,
    log,
  );
  return { names, told };
}

Deno.test("planNames() warns of a resolver that default leaves outside", () => {
  const routes = [parseRoute("default")];
  const { names, told } = plan({ routes }, FILE);
  assertEquals(names, undefined);
  assertMatch(told.join("\n"), /at 192\.168\.1\.1, beside the tunnel\n-D /);
  const quiet = (request: Partial<ConnectRequest>, ...lines: string[]) =>
    assertEquals(plan(request, lines).told, [], lines.join());
  quiet({ routes }, "resolver=203.0.113.53", "own=");
  quiet({ routes }, "resolver=198.51.100.53", "own="); // a public neighbour
  quiet({ routes: [] }, ...FILE);
  const exclude = [parseRoute("203.0.113.0/24")];
  const excluded = { routes, exclude } as Partial<ConnectRequest>;
  assertMatch(
    plan(excluded, ["resolver=203.0.113.53", "own="]).told.join(),
    /at 203\.0\.113\.53/,
  );
  const link = ["resolver=fe80::1%eth0", "own="];
  assertMatch(plan({ routes }, link).told.join(), /at fe80::1%eth0/);
  // It asks by the link that told it, whatever the routes say.
  const far = ["resolver=203.0.113.53", "own=127.0.0.53", "resolved=yes"];
  assertMatch(plan({ routes }, far).told.join(), /at 203\.0\.113\.53/);
});

Deno.test("planNames() refuses domains where all names go one way", () => {
  const dns = { inherit: true, addresses: [], domains: ["corp.test"] };
  for (const lines of [FILE, [...FILE, "resolved=yes"]]) {
    const error = assertThrows(() => plan({ dns }, lines), PvpnError);
    assertEquals(error.code, ExitCode.dns);
    assertMatch(error.message, /systemd-resolved/);
  }
  assertEquals(plan({ dns }, STUB, false), {
    names: { owners: ["resolved"], guard: false },
    told: [],
  });
});

Deno.test("planNames() says what it cannot do without nftables", () => {
  const addresses = [parseAddress("10.0.0.53")!];
  const dns = { inherit: false, addresses, domains: [] };
  assertEquals(plan({ dns }, FILE), {
    names: { owners: ["file"], guard: true },
    told: [],
  });
  assertMatch(plan({ dns }, FILE, false).told.join(), /nftables .*apt install/);
});
