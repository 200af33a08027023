import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatAddress } from "../../lib/address.ts";
import { parseCommandLine } from "../../lib/command_line.ts";
import type { DnsRequest } from "../../lib/dns_request.ts";
import { UsageError } from "../../lib/errors.ts";

function dns(...args: string[]): DnsRequest | undefined {
  const { command } = parseCommandLine([...args, "h"], undefined);
  assert(command.action === "connect");
  return command.request.dns;
}

const refused = (...args: string[]): UsageError =>
  assertThrows(() => dns(...args), UsageError, undefined, args.join(" "));

Deno.test("names are left alone unless somebody asks", () => {
  assertEquals(dns(), undefined);
});

Deno.test("-D, --dns and --dns-domain in all of their forms", () => {
  for (const form of ["-D", "--inherit-dns"]) {
    assertEquals(dns(form), { inherit: true, addresses: [], domains: [] });
  }
  for (
    const form of [["--dns", "10.0.0.53,fd00::53"], [
      "--dns=10.0.0.53,fd00::53",
    ]]
  ) {
    const { addresses, inherit } = dns(...form)!;
    assertEquals(addresses.map(formatAddress), ["10.0.0.53", "fd00::53"]);
    assert(!inherit);
  }
  const both = dns("-D", "--dns", "10.0.0.53")!;
  assertEquals([both.inherit, both.addresses.length], [true, 1]);
  assertEquals(
    dns("-D", "--dns-domain", "Corp.example", "--dns-domain=~lab.example.")!
      .domains,
    ["corp.example", "lab.example"],
  );
});

Deno.test("each resolver and domain counts once", () => {
  const same = "10.0.0.53,10.0.0.53,fd00::1,fd00:0::1";
  assertEquals(dns("--dns", same)!.addresses.length, 2);
  const twice = ["--dns-domain", "a.example", "--dns-domain", "A.example"];
  assertEquals(dns("-D", ...twice)!.domains, ["a.example"]);
});

Deno.test("--dns refuses what cannot be asked through a tunnel", () => {
  const texts = [
    ...["", ",", "10.0.0.53,", "resolver", "10.0.0.53:53", "10.0.0.0/8"],
    ...["10.0.0.53;id", "10.0.0.53 10.0.0.54", "-D", "fe80::1%eth0", "0x7f.1"],
    ...["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "fe80::1", "ff02::1"],
    "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4",
  ];
  for (const text of texts) refused(`--dns=${text}`);
  assertMatch(refused("--dns=127.0.0.53").message, /the host itself/);
  assertMatch(refused("--dns=10.0.0.1,x").message, /"x" is not the address/);
});

Deno.test("--dns-domain refuses what is no domain, and needs a resolver", () => {
  for (const text of ["", ".", "~.", "a b", "-a", "a..b", "*.a", "$(id)"]) {
    refused("-D", `--dns-domain=${text}`);
  }
  assertMatch(
    refused("--dns-domain", "corp.example").hints.join(),
    /-D .*--dns/,
  );
  const many = Array.from({ length: 33 }, (_, i) => `--dns-domain=d${i}.test`);
  refused("-D", ...many);
});
