import { assertEquals, assertMatch } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import { guardNames, guardRules, setResolvers } from "../../lib/dns_set.ts";
import type { DnsState, NamesState } from "../../lib/dns_state.ts";
import { ExitCode } from "../../lib/errors.ts";
import { Journal } from "../../lib/journal.ts";
import type { UpRequest } from "../../lib/up.ts";
import {
  batch,
  change,
  type Expected,
  type FakeRunner,
  withRunner,
} from "./fake_runner.ts";
import { failureOf } from "./helpers.ts";
import { NEW } from "./sample_state.ts";

const RESOLVERS = {
  addresses: ["10.0.0.53", "10.0.0.54"].map((text) => parseAddress(text)!),
  domains: ["lab.test", "eng.corp.test"],
};

/** What a journal has after some work, which runs just these commands. */
async function after(
  names: NamesState,
  dns: Partial<DnsState>,
  expected: readonly Expected[],
  work: (request: UpRequest) => Promise<void>,
  resume = false,
): Promise<Journal> {
  const state = {
    ...NEW,
    dns: { inherit: true, addresses: [], domains: [], ...dns },
    names,
  };
  const journal = new Journal(undefined, state);
  const request = (runner: FakeRunner) =>
    ({ journal, runner, resume }) as unknown as UpRequest;
  await withRunner(expected, (runner) => work(request(runner)));
  return journal;
}

const set = (request: UpRequest) => setResolvers(request, RESOLVERS);
const owners = (journal: Journal) =>
  journal.state.undo.map((step) =>
    step.kind === "resolver" ? step.owner : step.kind
  );

Deno.test("guardNames() closes other ways, once recorded, where nftables can", async () => {
  const rules = change(["nft", "-f", "-"], guardRules("tun0"));
  const names: NamesState = { owners: ["file"], guard: true };
  const twice = async (request: UpRequest) => {
    await guardNames(request);
    await guardNames(request);
  };
  assertEquals(owners(await after(names, {}, [rules, rules], twice)), [
    "guard",
  ]);
  const none = { ...names, guard: false };
  assertEquals(owners(await after(none, {}, [], guardNames)), []);
});

Deno.test("setResolvers() swaps the file, or tells openresolv", async () => {
  const lines = "search lab.test eng.corp.test\n" +
    "nameserver 10.0.0.53\nnameserver 10.0.0.54";
  const file = change(["sh", "-c", /resolv\.conf/, "pvpn", "tun0", lines]);
  const journal = await after(
    { owners: ["file"], guard: true },
    {},
    [file],
    set,
  );
  assertEquals(owners(journal), ["file"]);
  assertEquals(journal.state.names?.inUse, {
    addresses: ["10.0.0.53", "10.0.0.54"],
    domains: ["lab.test", "eng.corp.test"],
  });
  const argv = ["resolvconf", "-a", "tun0.pvpn", "-m", "0", "-x"];
  const openresolv: NamesState = { owners: ["openresolv"], guard: true };
  const told = await after(openresolv, {}, [change(argv, lines + "\n")], set);
  assertEquals(owners(told), ["openresolv"]);
});

const tell = (...words: string[]) => change(["resolvectl", ...words]);
const LINK = [
  "link add dev tun0-dns type dummy",
  "address add 192.0.0.8/32 dev tun0-dns",
  "link set dev tun0-dns up",
];
const closing = (...domains: string[]) => [
  batch(["ip", "-4"], LINK),
  tell("dns", "tun0-dns", "192.0.0.8"),
  tell("domain", "tun0-dns", ...domains),
  tell("default-route", "tun0-dns", "no"),
];
const device = (route: string, ...domains: string[]) => [
  tell("dns", "tun0", "10.0.0.53", "10.0.0.54"),
  tell("domain", "tun0", ...domains),
  tell("default-route", "tun0", route),
  tell("dnsovertls", "tun0", "no"),
  tell("llmnr", "tun0", "no"),
];
const RESOLVED: NamesState = { owners: ["resolved"], guard: true };

Deno.test("setResolvers() tells systemd-resolved, what closes first", async () => {
  const journal = await after(RESOLVED, {}, [
    ...closing("~."),
    ...device("yes", "~.", "lab.test", "eng.corp.test"),
  ], set);
  assertEquals(owners(journal), ["ip", "resolved"]);
});

Deno.test("setResolvers() leads only the domains that were named there", async () => {
  const domains = ["corp.test", "other.test"];
  const journal = await after({ ...RESOLVED, guard: false }, { domains }, [
    ...closing("~corp.test", "~other.test"),
    ...device("no", "~corp.test", "~other.test", "eng.corp.test"),
  ], set);
  assertEquals(owners(journal), ["ip", "resolved"]);
});

const NO_DUMMY = batch(["ip", "-4"], LINK, {
  status: 1,
  stderr: "Error: Unknown device type.\nCommand failed -:1\n",
});

Deno.test("setResolvers() does without the second device where nftables closes", async () => {
  const journal = await after(RESOLVED, {}, [
    NO_DUMMY,
    ...device("yes", "~.", "lab.test", "eng.corp.test"),
  ], set);
  assertEquals(owners(journal), ["resolved"]);
});

Deno.test("setResolvers() refuses what would leak while the tunnel is down", async () => {
  for (const domains of [[], ["corp.test"]]) {
    const open = { ...RESOLVED, guard: false };
    const error = await failureOf(() =>
      after(open, { domains }, [NO_DUMMY], set)
    );
    assertEquals(error.code, ExitCode.dns);
    assertMatch(error.message, /nothing keeps names/);
    assertMatch(error.hints.join(), /modprobe dummy/);
  }
});

Deno.test("setResolvers() says why systemd-resolved could not be told", async () => {
  const [dns, ...rest] = device("yes", "~.", "lab.test", "eng.corp.test");
  const stderr = "Failed to set DNS configuration: Link tun0 is managed.\n";
  const failing = { ...dns!, output: { status: 1, stderr } };
  const error = await failureOf(() =>
    after(RESOLVED, {}, [...closing("~."), failing, ...rest], set)
  );
  assertEquals(error.code, ExitCode.dns);
  assertMatch(error.message, /could not be set: .*Link tun0 is managed/);
});

Deno.test("setResolvers() waits for systemd-resolved to see a new device", async () => {
  const [dns, ...rest] = device("yes", "~.", "lab.test", "eng.corp.test");
  const early = {
    ...dns!,
    output: { status: 1, stderr: "Failed to set DNS: Link 7 not known\n" },
  };
  await after(RESOLVED, {}, [...closing("~."), early, ...rest, dns!], set);
});
