import { assertEquals, assertMatch } from "@std/assert";
import { addLine, applyIp } from "../../lib/link.ts";
import { batch, withRunner } from "./fake_runner.ts";
import { failureOf } from "./helpers.ts";

const LINES = [
  { words: ["address", "add", "10.1.0.1", "peer", "10.1.0.2", "dev", "tun0"] },
  { words: ["route", "add", "10.0.0.0/8", "via", "10.1.0.2", "dev", "tun0"] },
  { words: ["route", "add", "unreachable", "10.0.0.0/8", "metric", "9"] },
  { words: ["rule", "add", "priority", "11000", "table", "main"] },
];
const TEXTS = LINES.map(({ words }) => words.join(" "));
const EXISTS = "RTNETLINK answers: File exists\n";
const ASSIGNED = "Error: ipv4: Address already assigned.\n";
const at = (line: number) => `Command failed -:${line}\n`;

/** Applies the lines, with `ip` failing as it says. */
const apply = (stderr: string, options = {}, family: 4 | 6 = 4, status = 1) => {
  const force = "keep" in options ? ["-force"] : [];
  return withRunner(
    [batch(["ip", `-${family}`, ...force], TEXTS, { status, stderr })],
    (runner) => applyIp(family, LINES, runner, options),
  );
};

Deno.test("applyIp() runs all in one ip, and nothing for nothing", async () => {
  await apply("", {}, 4, 0);
  await apply("", {}, 6, 0);
  await withRunner([], (runner) => applyIp(4, [], runner));
});

Deno.test("addLine() adds what a step deletes", () => {
  assertEquals(
    addLine({
      kind: "ip",
      family: 4,
      object: "rule",
      words: ["priority", "1"],
    }),
    { words: ["rule", "add", "priority", "1"] },
  );
});

Deno.test("applyIp() names the route that is there already", async () => {
  for (const line of [2, 3]) {
    const error = await failureOf(() => apply(EXISTS + at(line)));
    assertEquals(error.code, 7);
    assertMatch(error.message, /has a route to 10\.0\.0\.0\/8 already/);
    assertMatch(error.hints.join(), /ip route show 10\.0\.0\.0\/8/);
  }
});

Deno.test("applyIp() says what failed, and why", async () => {
  const error = await failureOf(() =>
    apply("RTNETLINK answers: Operation not permitted\n" + at(4))
  );
  assertEquals(error.code, 7);
  assertMatch(error.message, /Operation not permitted/);
  assertMatch(
    error.hints.join("\n"),
    /ip rule add priority 11000.*CAP_NET_ADMIN/s,
  );
});

Deno.test("applyIp() keeps what is there when it reconnects, and nothing else", async () => {
  await apply(ASSIGNED + at(1) + EXISTS + at(2) + EXISTS + at(4), {
    keep: true,
  });
  const error = await failureOf(() =>
    apply(EXISTS + at(2) + "Error: Nexthop has invalid gateway.\n" + at(3), {
      keep: true,
    })
  );
  assertMatch(error.message, /Nexthop has invalid gateway/);
  assertMatch(error.hints.join(), /unreachable 10\.0\.0\.0\/8/);
});

Deno.test("applyIp() does not need IPv6 in the kernel, but IPv4", async () => {
  const none = "RTNETLINK answers: Address family not supported by protocol\n";
  await apply(none + at(1), {}, 6);
  assertMatch(
    (await failureOf(() => apply(none + at(1)))).message,
    /not supported/,
  );
});

Deno.test("applyIp() fails when ip fails as a whole", async () => {
  const texts = ["", "Cannot open netlink socket: Too many open files\n"];
  for (const stderr of texts) {
    for (const options of [{}, { keep: true }]) {
      const error = await failureOf(() => apply(stderr, options, 6, 255));
      assertEquals(error.code, 7);
    }
  }
});
