import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Address,
  bits,
  contains,
  type Family,
  formatAddress,
  formatPrefix,
  formatRoute,
  host,
  network,
  overlaps,
  parseAddress,
  parsePrefix,
  parseRoute,
  type Prefix,
} from "../../lib/address.ts";
import { UsageError } from "../../lib/errors.ts";
import { Seeded } from "./fuzz.ts";
import { assertTable } from "./helpers.ts";

const canonical = (text: string): string | undefined => {
  const address = parseAddress(text);
  return address && formatAddress(address);
};

Deno.test("formatAddress() writes IPv6 as RFC 5952 does", () => {
  assertTable(canonical, {
    // Section 4.1: leading zeros go.
    "2001:0db8::0001": "2001:db8::1",
    // 4.2.1: shorten as much as possible.
    "2001:db8:0:0:0:0:2:1": "2001:db8::2:1",
    "2001:db8::0:1": "2001:db8::1",
    // 4.2.2: one group of zeros stays.
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:db8::1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    // 4.2.3: the longest run, the first of two that are as long.
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    // 4.3: lower case.
    "2001:DB8::ABCD": "2001:db8::abcd",
    // The ends.
    "0:0:0:0:0:0:0:0": "::",
    "::": "::",
    "::1": "::1",
    "1::": "1::",
    "fe80:0:0:0:0:0:0:1": "fe80::1",
    "1:2:3:4:5:6:7::": "1:2:3:4:5:6:7:0",
    "::2:3:4:5:6:7:8": "0:2:3:4:5:6:7:8",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff":
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  });
});

Deno.test("parseAddress() gives the bits", () => {
  const value = (text: string) => parseAddress(text)?.value;
  assertTable(value, {
    "1.2.3.4": 0x01020304n,
    "255.255.255.255": 0xffffffffn,
    "0.0.0.0": 0n,
    "2001:db8::1": 0x20010db8000000000000000000000001n,
    "::1.2.3.4": 0x01020304n,
    "::ffff:192.0.2.1": 0xffffc0000201n,
    "1:2:3:4:5:6:7:8": 0x00010002000300040005000600070008n,
  });
  assertEquals(parseAddress("::1")?.family, 6);
  assertEquals(parseAddress("0.0.0.1")?.family, 4);
});

Deno.test("parseAddress() refuses what only some programs take", () => {
  const forms = [
    ...["", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3"],
    ...["256.1.1.1", "1.2.3.256", "010.0.0.1", "00.0.0.0", "0x7f.0.0.1"],
    ...[
      "1.2.3.4 ",
      " 1.2.3.4",
      "1.2.3.4\n",
      "1.2.3.-4",
      "+1.2.3.4",
      "1e1.0.0.1",
    ],
    ...["١.2.3.4", "1.2.3.4/32", "localhost", "0x7f000001", "2130706433"],
    ...[":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g"],
    ...["12345::", "fe80::1%eth0", "[::1]", "::1/128", "::1 ", "::1\n", "1:2"],
    ...["::1.2.3", "::1.2.3.256", "::01.2.3.4", "1.2.3.4::", "::-1", "::1]"],
    ...[
      "::1]@[::2",
      "::1]/[::2",
      "::1#",
      "::1?a",
      "::\u0661",
      ":1:2:3:4:5:6:7:8",
    ],
  ];
  for (const text of forms) {
    assertEquals(parseAddress(text), undefined, JSON.stringify(text));
  }
});

function anyAddress(seeded: Seeded): Address {
  const family: Family = seeded.pick([4, 6] as const);
  let value = seeded.bits(bits(family));
  // Runs of zeros and ones, which random bits never have.
  const shift = BigInt(seeded.below(bits(family)));
  if (seeded.below(2)) value = value >> shift << shift;
  if (seeded.below(3) === 0) value = value >> shift;
  return { family, value };
}

Deno.test("parseAddress() reads back what formatAddress() writes", () => {
  const seeded = new Seeded(1);
  for (let i = 0; i < 3000; i++) {
    const address = anyAddress(seeded);
    assertEquals(parseAddress(formatAddress(address)), address);
  }
});

Deno.test("contains() and overlaps() agree with a comparison bit by bit", () => {
  const seeded = new Seeded(2);
  const digits = ({ family, value }: Address) =>
    family + value.toString(2).padStart(bits(family), "0");
  const leading = (prefix: Prefix) =>
    digits(prefix).slice(0, prefix.length + 1);
  let inside = 0;
  for (let i = 0; i < 3000; i++) {
    const address = anyAddress(seeded);
    const near = seeded.below(3) === 0 ? anyAddress(seeded) : {
      ...address,
      value: address.value ^ 1n << BigInt(seeded.below(bits(address.family))),
    };
    const outer = network(address, seeded.below(bits(address.family) + 1));
    const inner = network(near, seeded.below(bits(near.family) + 1));
    const within = inner.length >= outer.length &&
      leading(inner).startsWith(leading(outer));
    assertEquals(contains(outer, inner), within, `${i}`);
    assertEquals(
      contains(outer, near),
      digits(near).startsWith(leading(outer)),
    );
    const touching = leading(inner).startsWith(leading(outer)) ||
      leading(outer).startsWith(leading(inner));
    assertEquals(overlaps(outer, inner), touching);
    assertEquals(overlaps(inner, outer), touching);
    assert(contains(outer, outer) && contains(host(near), near));
    inside += Number(within);
  }
  assert(inside > 300, "the test tried too few that lie inside");
});

Deno.test("parsePrefix() reads what ip prints", () => {
  const text = (input: string) => {
    const prefix = parsePrefix(input, 4);
    return prefix && formatPrefix(prefix);
  };
  assertTable(text, {
    "default": "0.0.0.0/0",
    "0.0.0.0/0": "0.0.0.0/0",
    "192.0.2.7": "192.0.2.7/32",
    "10.1.2.3/8": "10.0.0.0/8",
    "": undefined,
    "10.0.0.0/33": undefined,
    "10.0.0.0/08": undefined,
    "10.0.0.0/8/8": undefined,
    "10.0.0.0/": undefined,
    "10.0.0.0/-1": undefined,
    "unreachable": undefined,
  });
  assertEquals(parsePrefix("default", 6), { family: 6, value: 0n, length: 0 });
});

Deno.test("parseRoute() takes networks, addresses and default", () => {
  assertTable((text) => formatRoute(parseRoute(text)), {
    "default": "default",
    "0.0.0.0/0": "default",
    "192.168.0.0/16": "192.168.0.0/16",
    "0.0.0.0/1": "0.0.0.0/1",
    "192.0.2.1": "192.0.2.1",
    "192.0.2.1/32": "192.0.2.1",
    "2001:DB8:0::/48": "2001:db8::/48",
    "2001:db8::1": "2001:db8::1",
  });
});

Deno.test("parseRoute() refuses a prefix with host bits, and says both ways out", () => {
  const error = assertThrows(() => parseRoute("10.1.2.3/8"), UsageError);
  assert(error.hints[0]?.includes("10.0.0.0/8"), error.hints[0]);
  assert(error.hints[0]?.includes("10.1.2.3"), error.hints[0]);
  assertThrows(() => parseRoute("2001:db8::1/64"), UsageError);
  assertThrows(() => parseRoute("0.0.0.1/0"), UsageError);
});

Deno.test("parseRoute() refuses everything else", () => {
  const texts = [
    ...["", "all", "Default", "default ", "::/0", "10.0.0.0/33", "::/129"],
    ...[
      "10.0.0.0/8;id",
      "$(id)",
      "-j",
      "10.0.0.0/8 dev eth0",
      "10/8",
      "10.0/16",
    ],
    ...[
      "10.0.0.0/8\n",
      "10.0.0.0 /8",
      "10.0.0.0/+8",
      "10.0.0.0/8.0",
      "/8",
      "/",
    ],
  ];
  for (const text of texts) {
    assertThrows(() => parseRoute(text), UsageError, undefined, text);
  }
});
