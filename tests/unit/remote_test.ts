import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatPrefix } from "../../lib/address.ts";
import { ExitCode, PvpnError } from "../../lib/errors.ts";
import { formatPair, type Pair, parsePairRequest } from "../../lib/pair.ts";
import {
  DEVICE_REGEXP,
  type RemoteFacts,
  RemoteReader,
} from "../../lib/remote.ts";
import {
  newToken,
  remoteCommand,
  type RemoteRequest,
} from "../../lib/remote_script.ts";
import { system } from "./helpers.ts";
import { REMOTE } from "./sample_state.ts";

const pair = (text: string) => parsePairRequest(text) as Pair;
const REQUEST: RemoteRequest = {
  ...REMOTE,
  pairs: [pair("10.1.0.1:10.1.0.2"), pair("10.2.0.1:10.2.0.2")],
};
// As seen from the server.
const GOOD = ["device=tun3", "local=10.2.0.2", "peer=10.2.0.1"];

/** What a reader makes of the script's lines and, at last, `ready`. */
function readAll(...lines: string[]): unknown {
  const reader = new RemoteReader(REQUEST);
  for (const line of lines) {
    assertEquals(reader.read(`pvpn-0123 ${line}`), true);
  }
  return reader.read("pvpn-0123 ready");
}

const refusal = (...lines: string[]) => {
  const error = assertThrows(() => readAll(...lines), PvpnError);
  assertEquals(error.code, ExitCode.server);
  assert(!/undefined|\[object/.test(error.message), error.message);
  return error;
};

Deno.test("RemoteReader gives the facts, from this machine's side", () => {
  const facts = readAll(...GOOD) as { device: string; pair: Pair };
  assertEquals(facts.device, "tun3");
  assertEquals(formatPair(facts.pair), "10.2.0.1:10.2.0.2");
});

Deno.test("RemoteReader takes what a type's script tells, if it looks so", () => {
  const reports = { key: /^[a-z]{3}$/, port: /^\d+$/ };
  const told = (...lines: string[]) => {
    const reader = new RemoteReader(REQUEST, { reports });
    for (const line of [...lines, ...GOOD]) reader.read(`pvpn-0123 ${line}`);
    return (reader.read("pvpn-0123 ready") as RemoteFacts).told;
  };
  const port = "own=port 7";
  assertEquals(told("own=key abc", port), { key: "abc", port: "7" });
  for (
    const lines of [
      ...[[], [port], ["own=key abcd", port], ["own=key", port]],
      ...[["own=key ", port], ["own=other abc", port], ["own=", port]],
      ...[["own=toString abc", port], ["own=__proto__ abc", port]],
      ...[["key=abc", port]],
    ]
  ) {
    const error = assertThrows(() => told(...lines), PvpnError);
    assertMatch(error.message, /the line "own=|no report "(?:key|port)"/);
  }
  assertEquals((readAll(...GOOD) as RemoteFacts).told, {});
});

Deno.test("RemoteReader leaves lines alone that are somebody else's", () => {
  const reader = new RemoteReader(REQUEST);
  const lines = [
    ...["", "ready", " pvpn-0123 ready", "pvpn-0124 ready", "pvpn-0123ready"],
    ...[
      "pvpn-0123",
      "pvpn-0123\tready",
      "debug1: pvpn-0123 ready",
      "PVPN-0123 ready",
    ],
    "+ server: say ready",
  ];
  for (const line of lines) assertEquals(reader.read(line), false, line);
});

Deno.test("RemoteReader wants all facts before it believes in ready", () => {
  refusal();
  for (const missing of [0, 1, 2]) {
    refusal(...GOOD.filter((_, i) => i !== missing));
  }
});

Deno.test("RemoteReader refuses device names that could be something else", () => {
  const names = [
    ...[
      "",
      "../../x",
      "-j",
      ".",
      "..",
      "a/b",
      "tun0;id",
      "tun 0",
      "$(id)",
      "*",
    ],
    ...["tun0\x1b[2J", "\u202etun0", "t".repeat(16), "tun0\ttun1", "\u0131f0"],
  ];
  for (const name of names) {
    refusal(`device=${name}`, ...GOOD.slice(1));
    assert(!DEVICE_REGEXP.test(name), name);
  }
  assert(!DEVICE_REGEXP.test("tun0\n"));
});

Deno.test("RemoteReader refuses addresses that nobody offered", () => {
  for (
    const [local, peer] of [
      ...[["10.1.0.2", "10.2.0.1"], ["10.2.0.1", "10.2.0.2"], ["", ""]],
      ...[["10.3.0.2", "10.3.0.1"], ["any", "any"], [
        "10.2.0.2/32",
        "10.2.0.1",
      ]],
      ["10.2.0.2;id", "10.2.0.1"],
    ]
  ) {
    refusal("device=tun3", `local=${local}`, `peer=${peer}`);
  }
});

Deno.test("RemoteReader refuses lines that the script never prints", () => {
  const lines = [
    ...[
      "",
      "=",
      "x",
      "=x",
      "Device=tun0",
      "de vice=x",
      "device",
      "ready ",
      "READY",
    ],
    ...[`device=${"x".repeat(513)}`, "a\x00=b", "readyready", "device=\u2028"],
  ];
  for (const line of lines) refusal(line);
});

Deno.test("RemoteReader does not keep what a server repeats without end", () => {
  const reader = new RemoteReader(REQUEST);
  const letters = (i: number) =>
    i.toString(26).replace(/\d/g, (d) => "qrstuvwxyz"[Number(d)]!);
  const error = assertThrows(() => {
    for (let i = 0; i < 10_000; i++) reader.read(`pvpn-0123 k${letters(i)}=v`);
  }, PvpnError);
  assertEquals(error.code, ExitCode.server);
});

Deno.test("RemoteReader parses whether the server forwards, and what it reaches", () => {
  const read = (...lines: string[]) =>
    readAll(...GOOD, ...lines) as RemoteFacts;
  assertEquals(read().forwarding, {});
  assertEquals(read("forwarding=0").forwarding, { 4: false });
  const both = read("forwarding6=0", "forwarding=1").forwarding;
  assertEquals(both, { 4: true, 6: false });
  for (const value of ["", "2", "yes", "01", " 1"]) {
    refusal(...GOOD, `forwarding=${value}`);
    refusal(...GOOD, `forwarding6=${value}`);
  }
  const { networks } = read("network=10.1.0.0/16", "network=192.0.2.9");
  assertEquals(networks.map(formatPrefix), ["10.1.0.0/16", "192.0.2.9/32"]);
  for (
    const value of [
      ...["", "default", "10.0.0.0/33", "10.0.0.0/8;id", "$(id)", "10.0/8"],
      ...["10.0.0.0/8 x", "::g", "throw 10.0.0.0/8", "0x7f.0.0.1", "1.2.3.4/"],
    ]
  ) {
    refusal(...GOOD, `network=${value}`);
  }
});

Deno.test("RemoteReader takes a list's key again and again, but not for ever", () => {
  const reader = new RemoteReader(REQUEST);
  const line = "pvpn-0123 network=10.0.0.0/8";
  for (let i = 0; i < 129; i++) assertEquals(reader.read(line), true);
  const error = assertThrows(() => reader.read(line), PvpnError);
  assertEquals(error.code, ExitCode.server);
});

Deno.test("RemoteReader asks the script's parts what their errors mean", () => {
  const errors = { nat: () => ({ message: "no NAT", hints: ["x"] }) };
  const reader = new RemoteReader({
    ...REQUEST,
    parts: [{ text: "", errors }],
  });
  const read = () => reader.read("pvpn-0123 error=nat because");
  assertEquals(assertThrows(read, PvpnError, "no NAT").hints, ["x"]);
});

Deno.test("RemoteReader says what the script's errors mean", () => {
  const missing = refusal("error=missing ip");
  assertMatch(missing.message, /no "ip" program/);
  assertMatch(missing.hints.join(), /iproute2/);
  const address = refusal("error=address 10.1.0.2 10.1.0.1 10.0.0.0/8");
  assertMatch(address.message, /10\.1\.0\.1:10\.1\.0\.2 .*"10\.0\.0\.0\/8"/);
  assertMatch(address.hints.join(), /-i/);
  assertMatch(refusal("error=device").message, /no tunnel device/);
  assertMatch(refusal("error=device tun7").message, /"tun7"/);
  const ip = refusal("error=ip RTNETLINK answers: Operation not permitted");
  assertMatch(ip.message, /Operation not permitted/);
  assertMatch(ip.hints.join(), /root@HOST/);
  assertEquals(refusal("error=ip RTNETLINK answers: File exists").hints, []);
  assertMatch(refusal("error=something new").message, /something new/);
});

Deno.test("RemoteReader asks the tunnel type what its own errors mean", () => {
  const errors = {
    ppp: (detail: string) => ({ message: `no pppd: ${detail}`, hints: ["x"] }),
  };
  const reader = new RemoteReader(REQUEST, { errors });
  const read = (line: string) => () => reader.read(`pvpn-0123 error=${line}`);
  const error = assertThrows(read("ppp a b"), PvpnError, "no pppd: a b");
  assertEquals(error.hints, ["x"]);
  assertThrows(read("missing ip"), PvpnError, 'no "ip"');
});

Deno.test("RemoteReader takes every error= for one, whatever its first word", () => {
  const words = [
    ...["", " ", "constructor", "toString", "valueOf", "__proto__", "address"],
    ...[
      "hasOwnProperty",
      "__defineGetter__",
      "isPrototypeOf",
      "toLocaleString",
    ],
  ];
  for (const word of words) {
    refusal(`error=${word}`);
    refusal(`error=${word} a b`);
  }
});

Deno.test("newToken() is 128 random bits in a word", () => {
  const tokens = Array.from({ length: 100 }, newToken);
  for (const token of tokens) assertMatch(token, /^pvpn-[0-9a-f]{32}$/);
  assertEquals(new Set(tokens).size, 100);
});

Deno.test("remoteCommand() is one exec, its values words of their own", async () => {
  const type = { device: "device=x", hold: "cat", args: ["a b", "'"] };
  const command = remoteCommand(type, {
    ...REQUEST,
    resume: true,
    trace: true,
  });
  assert(command.startsWith("exec /bin/sh -c "));
  const { stdout } = await system.query([
    ...["sh", "-c", command.replace("exec /bin/sh -c", "printf '%s\\0'")],
  ]);
  const [script = "", ...values] = stdout.split("\0");
  assertEquals(values, [
    ...["pvpn", "pvpn-0123", "1500", "resume", "trace", "", ""],
    ...["10.1.0.1:10.1.0.2 10.2.0.1:10.2.0.2", "a b", "'", ""],
  ]);
  for (const value of ["pvpn-0123", "10.1.0.1", "1500"]) {
    assert(!script.includes(value), `${value} is pasted into the script`);
  }
});

Deno.test("remoteCommand() takes a plugin's text as it is", () => {
  for (
    const device of ["device=$& $1 $$ $`", "device=THRESHOLD", "device=DEVICE"]
  ) {
    const command = remoteCommand({ device, hold: "echo $& DEVICE" }, REQUEST);
    assert(command.includes(`\n${device}\n`), device);
    assert(command.includes("\necho $& DEVICE"), command);
  }
});
