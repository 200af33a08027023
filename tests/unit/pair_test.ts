import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  contains,
  formatAddress,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../../lib/address.ts";
import { PvpnError, UsageError } from "../../lib/errors.ts";
import {
  candidatePairs,
  formatPair,
  parsePairRequest,
} from "../../lib/pair.ts";
import { Seeded } from "./fuzz.ts";
import { assertTable } from "./helpers.ts";

const net = (text: string): Prefix => parsePrefix(text, 4)!;
const anyAny = parsePairRequest("any:any");

Deno.test("parsePairRequest() takes addresses and any, on both sides", () => {
  const halves = (text: string) =>
    Object.values(parsePairRequest(text)).map((half) =>
      half === "any" ? half : formatAddress(half)
    );
  assertTable<string[]>(halves, {
    "any:any": ["any", "any"],
    "10.0.0.1:any": ["10.0.0.1", "any"],
    "any:10.0.0.1": ["any", "10.0.0.1"],
    "192.0.2.1:198.51.100.2": ["192.0.2.1", "198.51.100.2"],
    "223.255.255.255:1.0.0.0": ["223.255.255.255", "1.0.0.0"],
  });
});

Deno.test("parsePairRequest() refuses what is no pair of hosts", () => {
  const texts = [
    ...["", ":", "any", "any:", ":any", "any:any:any", "10.0.0.1", "::1"],
    ...["10.0.0.1:10.0.0.1", "0.0.0.1:any", "127.0.0.1:any", "any:224.0.0.1"],
    ...["255.255.255.255:any", "10.0.0.1:2001:db8::1", "10.0.0.1;id:any"],
    ...["x; id:any", "$(id):any", "-j:any", "10.0.0.1 :any", "any\n:any"],
    ...["010.0.0.1:any", "10.0.0.256:any", "10.0.0.1/24:any", "Any:any"],
  ];
  for (const text of texts) {
    assertThrows(() => parsePairRequest(text), UsageError, undefined, text);
  }
});

Deno.test("candidatePairs() gives the pair that was asked for, and no other", () => {
  const request = parsePairRequest("10.9.0.1:10.9.0.2");
  const pairs = candidatePairs(request, [net("192.168.0.0/16")], []);
  assertEquals(pairs.map(formatPair), ["10.9.0.1:10.9.0.2"]);
});

Deno.test("candidatePairs() names the network that an asked-for address is in", () => {
  for (const text of ["10.9.0.1:any", "any:10.9.0.1", "10.9.0.1:192.0.2.1"]) {
    const error = assertThrows(
      () => candidatePairs(parsePairRequest(text), [net("10.9.0.0/24")], []),
      PvpnError,
    );
    assertEquals(error.code, 7);
    assertMatch(error.message, /"?10\.9\.0\.1"? .* 10\.9\.0\.0\/24/);
  }
});

Deno.test("candidatePairs() lets an asked-for pair lie inside its own route", () => {
  const request = parsePairRequest("10.9.0.1:10.9.0.2");
  assertEquals(candidatePairs(request, [], [net("10.0.0.0/8")]).length, 1);
});

Deno.test("candidatePairs() offers two of each private network, 10/8 first", () => {
  const pairs = candidatePairs(anyAny, [], []).map(formatPair);
  const form = (start: string) => new RegExp(`^(${start})\\.1:\\1\\.2$`);
  assertEquals(pairs.length, 6);
  for (const [i, pair] of pairs.entries()) {
    const starts = [
      String.raw`10\.\d+\.\d+`,
      String.raw`172\.(?:1[6-9]|2\d|3[01])\.\d+`,
      String.raw`192\.168\.\d+`,
    ];
    assertMatch(pair, form(starts[Math.floor(i / 2)]!));
  }
});

Deno.test("candidatePairs() does not choose the same every time", () => {
  const first = Array.from(
    { length: 20 },
    () => formatPair(candidatePairs(anyAny, [], [])[0]!),
  );
  assert(new Set(first).size > 15, first.join(" "));
});

Deno.test("candidatePairs() never offers what a network or a route covers", () => {
  const seeded = new Seeded(5);
  for (let i = 0; i < 200; i++) {
    const some = () =>
      Array.from({ length: 1 + seeded.below(6) }, () => {
        const base = seeded.pick(["10", "172", "192.168"]);
        return base === "10"
          ? net(`10.${seeded.below(256)}.0.0/${9 + seeded.below(6)}`)
          : base === "172"
          ? net(`172.${16 + seeded.below(16)}.0.0/${13 + seeded.below(4)}`)
          : net(`192.168.${seeded.below(256)}.0/${17 + seeded.below(8)}`);
      });
    const [taken, routes] = [some(), some()];
    const request = parsePairRequest(
      seeded.pick(["any:any", "any:198.18.0.1"]),
    );
    for (const { local, peer } of candidatePairs(request, taken, routes)) {
      for (const prefix of [...taken, ...routes]) {
        assert(!contains(prefix, local) && !contains(prefix, peer));
      }
    }
  }
});

Deno.test("candidatePairs() never gives both ends one address", () => {
  // All but one /24 is taken, so that chance has to meet the asked-for one.
  const taken = Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 7)
    .map((i) => net(`192.168.${i}.0/24`));
  taken.push(net("10.0.0.0/8"), net("172.16.0.0/12"));
  const request = parsePairRequest("192.168.7.2:any");
  for (let i = 0; i < 20; i++) {
    try {
      for (const { local, peer } of candidatePairs(request, taken, [])) {
        assert(local.value !== peer.value);
      }
    } catch (error) {
      assert(error instanceof PvpnError); // none was found in 64 tries
    }
  }
});

Deno.test("candidatePairs() says so when all private networks are taken", () => {
  const taken = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(net);
  const error = assertThrows(
    () => candidatePairs(anyAny, taken, []),
    PvpnError,
  );
  assertEquals(error.code, 7);
  assertMatch(error.hints.join(), /-i/);
  const left = taken.slice(0, 2);
  for (const { local } of candidatePairs(anyAny, left, [])) {
    assert(contains(taken[2]!, local));
  }
});

Deno.test("formatPair() writes what parsePairRequest() reads", () => {
  const [local, peer] = ["10.1.2.1", "10.1.2.2"].map((t) => parseAddress(t)!);
  const pair = { local: local!, peer: peer! };
  assertEquals(parsePairRequest(formatPair(pair)), pair);
});
