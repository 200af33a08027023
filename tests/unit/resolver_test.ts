import { assert, assertEquals } from "@std/assert";
import { formatAddress, parseAddress } from "../../lib/address.ts";
import { parseTold } from "../../lib/resolv_conf.ts";
import { inDomain, parseDomain, unusable } from "../../lib/resolver.ts";

Deno.test("parseDomain() takes domain names, and makes them comparable", () => {
  const good: Record<string, string> = {
    "corp.example": "corp.example",
    "Corp.EXAMPLE.": "corp.example",
    lan: "lan",
    "_msdcs.corp.example": "_msdcs.corp.example",
    "3com.example": "3com.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    ["a".repeat(63) + ".example"]: "a".repeat(63) + ".example",
    [`${"a.".repeat(126)}b`]: `${"a.".repeat(126)}b`,
  };
  for (const [text, name] of Object.entries(good)) {
    assertEquals(parseDomain(text), name, text);
  }
});

Deno.test("parseDomain() refuses what is more than a name", () => {
  const bad = [
    ...["", ".", "..", ".lan", "a..b", "lan..", "-a", "a-", "-o.example", "~."],
    ...["~corp.example", "a b", "a\tb", "a\nb", "a;b", "a/b", "$(id)", "`id`"],
    ...["a'b", 'a"b', "a\\b", "*.example", "b\u00fccher.example", "a\x00b"],
    ...["a.b\n", "\u212aelvin", "a".repeat(64), `${"a.".repeat(126)}bc`],
  ];
  for (const text of bad) assertEquals(parseDomain(text), undefined, text);
});

Deno.test("inDomain() compares whole labels", () => {
  assert(inDomain("corp.example", "corp.example"));
  assert(inDomain("eng.corp.example", "corp.example"));
  assert(!inDomain("notcorp.example", "corp.example"));
  assert(!inDomain("example", "corp.example"));
});

Deno.test("unusable() names addresses that cannot be asked through a tunnel", () => {
  const bad = [
    ...["127.0.0.1", "127.0.0.53", "0.0.0.0", "224.0.0.251", "240.0.0.1"],
    ...["255.255.255.255", "::1", "::", "ff02::fb", "fe80::1", "febf::1"],
    "::ffff:127.0.0.1",
  ];
  for (const text of bad) assert(unusable(parseAddress(text)!), text);
  const good = ["10.0.0.1", "169.254.169.253", "8.8.8.8", "fd00::1", "::2"];
  for (const text of good) {
    assertEquals(unusable(parseAddress(text)!), undefined);
  }
});

Deno.test("parseTold() keeps what makes sense, and names the rest", () => {
  const told = parseTold({
    resolver: ["10.0.0.1", "8.8.8.8;", "fe80::1%eth0", "127.0.0.2", "fd00::1"],
    domain: ["Lab.test", ".", "x; rm -rf /", "a".repeat(254), "corp.example."],
    stub: undefined,
  });
  assertEquals(told.addresses.map(formatAddress), ["10.0.0.1", "fd00::1"]);
  assertEquals(told.domains, ["lab.test", "corp.example"]);
  assertEquals(told.nonsense, [
    ...["8.8.8.8;", "fe80::1%eth0", "127.0.0.2, which means the host itself"],
    ...["x; rm -rf /", "a".repeat(254)],
  ]);
  assert(!("stub" in told));
});
