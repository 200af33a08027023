import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import denoJson from "../../deno.json" with { type: "json" };
import { formatRoute } from "../../lib/address.ts";
import type { ConnectRequest } from "../../lib/connect.ts";
import { UsageError } from "../../lib/errors.ts";
import { helpText } from "../../lib/help.ts";
import { type Option, OPTIONS } from "../../lib/options.ts";
import { type Command, parseCommandLine } from "../../lib/command_line.ts";

import { VERSION } from "../../lib/version.ts";
import { plugins } from "../../plugins/mod.ts";

const parse = (...args: string[]) => parseCommandLine(args, undefined);
const command = (...args: string[]): Command => parse(...args).command;

function request(...args: string[]): ConnectRequest {
  const parsed = command(...args);
  assert(parsed.action === "connect", JSON.stringify(args));
  return parsed.request;
}

const refused = (...args: string[]): UsageError =>
  assertThrows(
    () => parse(...args),
    UsageError,
    undefined,
    JSON.stringify(args),
  );

Deno.test("parseCommandLine() stops all tunnels only when there is no other word", () => {
  for (
    const args of [["-S"], ["--stop"], ["-dS"], ["-S", "-d"], ["-S", "--"]]
  ) {
    assertEquals(command(...args), { action: "stop", device: undefined });
  }
  // What `pvpn -S "$DEVICE"` is when DEVICE is not set.
  refused("-S", "");
  refused("--stop", "");
  refused("--stop=");
});

Deno.test("parseCommandLine() refuses devices that could be something else", () => {
  const names = [
    "../x",
    ".",
    "a/b",
    "/etc/passwd",
    "tun0;id",
    "tun 0",
    "t".repeat(16),
  ];
  for (const name of names) {
    refused("-S", name);
    refused(`--reconnect=${name}`);
  }
  refused("-S", "tun0", "tun1");
  refused("--reconnect");
});

Deno.test("parseCommandLine() takes MTUs that work", () => {
  for (const mtu of [576, 577, 1500, 16380]) {
    assertEquals(request("--mtu", `${mtu}`, "h").mtu, mtu);
  }
  assertEquals(request("--mtu=auto", "h", "2001:db8::/32").mtu, "auto");
  const bad = [
    "AUTO",
    "575",
    "16381",
    "0",
    "-1400",
    "1e3",
    "1400.0",
    "0x5dc",
    "x",
    " 1400",
    "9999999",
  ];
  for (const mtu of bad) {
    assertMatch(refused(`--mtu=${mtu}`, "h").message, /576 to 16380/);
  }
});

Deno.test("parseCommandLine() takes each route once", () => {
  const routes = request(
    ...["h", "10.0.0.0/8", "default", "0.0.0.0/0", "192.0.2.1/32", "192.0.2.1"],
    "10.0.0.0/8",
  ).routes;
  assertEquals(routes.map(formatRoute), ["10.0.0.0/8", "default", "192.0.2.1"]);
});

Deno.test("parseCommandLine() takes IPv6 routes, but not with an MTU too small for them", () => {
  for (const route of ["2001:db8::/32", "2001:db8::1", "2000::/3"]) {
    assertEquals(request("h", route).routes.map(formatRoute), [route]);
    const error = refused("--mtu", "1279", "h", "default", route);
    assertMatch(error.message, /too small/);
  }
});

Deno.test("parseCommandLine() takes -x as often as it is given", () => {
  const { exclude } = request(
    ...["-x", "192.168.1.0/24", "--exclude=10.1.2.3", "-xfd00::/8"],
    ...["-x", "10.1.2.3/32", "h", "default"],
  );
  assertEquals(exclude.map(formatRoute), [
    ...["192.168.1.0/24", "10.1.2.3", "fd00::/8"],
  ]);
  assertMatch(refused("-x", "default", "h").message, /leaves nothing/);
  assertMatch(refused("-x", "10.0.0.0/8", "h", "10.0.0.0/8").message, /-x/);
  assertMatch(refused("-x", "10.0.0.1/8", "h").message, /bits set/);
  assertMatch(refused("h", "-x").message, /needs its value/);
});

Deno.test("parseCommandLine() takes three words for --ipv6", () => {
  for (const mode of ["tunnel", "block", "leave"]) {
    assertEquals(request("--ipv6", mode, "h").ipv6, mode);
  }
  assertMatch(refused("--ipv6", "off", "h").message, /none of tunnel, block/);
});

Deno.test("parseCommandLine() refuses a command line without a host", () => {
  for (const args of [[], ["-d"], ["-t", "ssh-3"], ["--"], ["-n"]]) {
    assertMatch(refused(...args).message, /SSH-HOST is missing/);
  }
  refused("");
  refused("-l", "h");
});

Deno.test("parseCommandLine() takes --json and --watch for a list only", () => {
  for (const args of [["--json"], ["--watch", "h"], ["--json", "-S", "tun0"]]) {
    const { hints } = refused(...args);
    assertMatch(hints.join(), /^type pvpn --list --(json|watch)$/);
  }
});

Deno.test("parseCommandLine() reads SSH_ARGS when it connects, and only then", () => {
  const line = parseCommandLine(["h"], "-p '22'");
  assert(line.command.action === "connect");
  assertEquals(line.command.request.sshArgs, ["-p", "22"]);
  assertThrows(() => parseCommandLine(["h"], "-N"), UsageError);
  for (const args of [["-S"], ["-l"], ["-h"], ["--reconnect=tun0"]]) {
    parseCommandLine(args, "-N '");
  }
});

Deno.test("helpText() lists each option, each type, and no line too long", () => {
  const help = helpText(plugins);
  for (const { long, short, group } of OPTIONS as readonly Option[]) {
    const shown = new RegExp(
      short ? `^  -${short}, --${long}\\b` : `^ +--${long}\\b`,
      "m",
    );
    assertEquals(shown.test(help), group !== undefined, long);
  }
  for (const { type, summary } of plugins) {
    assert(help.includes(`  ${type.padEnd(28)}${summary}`));
  }
  for (const line of help.split("\n")) {
    assert(line.length <= 80 && line === line.trimEnd(), line);
  }
});

Deno.test("OPTIONS have names that differ", () => {
  assertEquals(new Set(OPTIONS.map(({ long }) => long)).size, OPTIONS.length);
  const shorts = OPTIONS.flatMap((option: Option) => option.short ?? []);
  assertEquals(new Set(shorts).size, shorts.length);
});

Deno.test("VERSION is that of deno.json", () => {
  assertEquals(VERSION, denoJson.version);
});
