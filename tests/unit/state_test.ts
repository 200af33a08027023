import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ExitCode, PvpnError } from "../../lib/errors.ts";
import { parseState, type TunnelState } from "../../lib/state.ts";

import { STATE } from "./sample_state.ts";

const parse = (fields: unknown) => parseState(JSON.stringify(fields), "tun0");

/** Expects each value to be refused, with the field's name. */
function refuses(field: keyof TunnelState, values: readonly unknown[]): void {
  for (const value of values) {
    const shown = `${field}: ${JSON.stringify(value)}`;
    const error = assertThrows(
      () => parse({ ...STATE, [field]: value }),
      PvpnError,
      undefined,
      shown,
    );
    assertEquals(error.code, ExitCode.state);
    const named = new RegExp(field === "version" ? "version" : `"${field}"`);
    assertMatch(error.message, named, shown);
    assertMatch(error.hints.join("\n"), /tun0/);
  }
}

const NOT_TEXT = [
  null,
  1,
  true,
  {},
  ["x"],
  "a\x00b",
  "a\x1b[2Jb",
  "\x7f",
  "\r",
];
const NOT_A_COUNT = [undefined, null, "1", -1, 1.5, 1e300, [], {}, true, ""];

Deno.test("parseState() reads back what is written", () => {
  assertEquals(parse(STATE), STATE);
  const optional = [
    ...["owner", "pair", "firstHop", "user", "server", "since", "problem"],
  ];
  for (const key of optional) {
    const { [key as keyof TunnelState]: _, ...rest } = STATE;
    assertEquals<unknown>(parse(rest), rest, key);
  }
  assertEquals(parse({ ...STATE, undo: [], routes: [], sshArgs: [] }).undo, []);
});

Deno.test("parseState() refuses what is no state at all", () => {
  for (
    const text of ["", "{", "null", "1", '"x"', "[]", "[{}]", "\x00", "{}}"]
  ) {
    const error = assertThrows(() => parseState(text, "tun0"), PvpnError);
    assertEquals(error.code, ExitCode.state, text);
  }
  // Half of a file.
  const text = JSON.stringify(STATE);
  for (let end = 0; end < text.length; end++) {
    assertThrows(() => parseState(text.slice(0, end), "tun0"), PvpnError);
  }
  const deep = "[".repeat(1e5);
  assertThrows(() => parseState(deep, "tun0"), PvpnError);
});

Deno.test("parseState() refuses another version's state", () => {
  refuses("version", [undefined, 0, 2, "1", null, [1]]);
});

Deno.test("parseState() refuses the state of another device", () => {
  assertThrows(() => parseState(JSON.stringify(STATE), "tun1"), PvpnError);
  refuses("device", [
    ...[undefined, ...NOT_TEXT, "", ".", "..", "../x", "a/b", "-j", "tun 0"],
    ...["tun0;id", "tun0\n", "t".repeat(16)],
  ]);
});

Deno.test("parseState() refuses a type that no plugin can have", () => {
  refuses("type", [undefined, ...NOT_TEXT, "", "SSH", "a b", "../x", "a\n"]);
});

Deno.test("parseState() refuses a host that could not have been typed", () => {
  refuses("host", [
    ...[undefined, ...NOT_TEXT, "-oProxyCommand=id", "x".repeat(5000)],
    ...["", "a\nb", "a b", "root@-oProxyCommand=id", "$(id)", "a;id"],
  ]);
});

Deno.test("parseState() refuses words for ssh that are no texts", () => {
  refuses("sshArgs", [
    ...[undefined, null, "-p 22", {}, [1], [null], [["-p"]], {
      0: "-p",
      length: 1,
    }],
    ...NOT_TEXT.map((value) => ["-p", value]),
  ]);
});

Deno.test("parseState() refuses routes that could not have been typed", () => {
  refuses("routes", [
    ...[undefined, null, "default", {}, [1], [null], ["Default"], [
      "10.0.0.1/8",
    ]],
    ...[["default", ""], ["-j"], ["10.0.0.0/8 dev eth0"], ["10.0.0.0/8\n"]],
  ]);
});

Deno.test("parseState() refuses numbers that are none", () => {
  refuses("beyondMtu", NOT_A_COUNT.filter((value) => value !== undefined));
  for (const field of ["mtu", "slot", "reconnects"] as const) {
    refuses(field, NOT_A_COUNT);
  }
});

Deno.test("parseState() refuses a user that ssh could not run as", () => {
  const user = STATE.user!;
  refuses("user", [
    ...[null, "alice", 1000, [], {}, { ...user, uid: 0 }, { ...user, uid: -1 }],
    ...[{ ...user, home: "x" }, { ...user, name: "-h" }],
    { ...user, shell: "/bin/sh\n" },
  ]);
});

Deno.test("parseState() refuses a phase that there is not", () => {
  refuses("phase", [
    undefined,
    null,
    "",
    "down",
    "UP",
    1,
    ["up"],
    "constructor",
  ]);
});

Deno.test("parseState() refuses an owner that is no process of a user's", () => {
  const start = "1";
  refuses("owner", [
    ...[null, 1, "x", [], {}, { pid: 4711 }, { start }, { pid: "4711", start }],
    ...[0, 1, -1, -4711, 1.5, 1e300, null].map((pid) => ({ pid, start })),
    ...["", "-1", "1 2", "1;id", "0x1", 1, null, "1\n"].map((wrong) => (
      { pid: 4711, start: wrong }
    )),
  ]);
});

Deno.test("parseState() refuses a server without an address", () => {
  const address = "192.0.2.1";
  refuses("server", [
    ...[null, 1, "192.0.2.1", [], {}, { address: "" }, { address: "proxy" }],
    ...[{ address: "192.0.2.1 dev eth0" }, { address: "-j" }, { address: [] }],
    ...[0, 65536, -1, 1.5, "22", null].map((port) => ({ address, port })),
  ]);
});

Deno.test("parseState() refuses addresses that are none", () => {
  refuses("firstHop", [
    ...NOT_TEXT,
    "",
    "proxy",
    "192.0.2.1/32",
    "-j",
    "::1%lo",
  ]);
  refuses("pair", [
    ...[...NOT_TEXT, "", "10.1.0.1", "10.1.0.1:", "x;id:y", "127.0.0.1:any"],
    "10.1.0.1:10.1.0.2\n",
  ]);
});

Deno.test("parseState() refuses resolvers and domains that could not be", () => {
  const dns = STATE.dns!;
  const wrong = [
    ...[["10.0.0.53; id"], ["127.0.0.1"], ["ff02::1"], "10.0.0.53", [1], {}]
      .map((addresses) => ({ addresses })),
    ...[["~corp.test"], ["A.test"], ["a b"], ["-a"], [""], ["."], "a.test"]
      .map((domains) => ({ domains })),
  ];
  refuses("dns", [
    ...[null, 1, "-D", [], {}, { ...dns, inherit: "yes" }],
    ...wrong.map((one) => ({ ...dns, ...one })),
  ]);
  const names = STATE.names!;
  refuses("names", [
    ...[null, 1, [], {}, { ...names, guard: 1 }, { ...names, inUse: null }],
    ...[["sh"], ["guard"], [1], "file", undefined]
      .map((owners) => ({ ...names, owners })),
    ...wrong.map((one) => ({ ...names, inUse: { ...names.inUse, ...one } })),
  ]);
});

Deno.test("parseState() refuses resolver steps that are another tunnel's", () => {
  const step = (value: unknown) => [...STATE.undo, value];
  const good = { kind: "resolver", owner: "file", device: "tun0" };
  refuses(
    "undo",
    [
      ...[{ device: "tun1" }, { device: "../x" }, { device: "" }, {
        device: 1,
      }],
      ...[{ owner: "sh" }, { owner: undefined }, { owner: ["file"] }],
    ].map((wrong) => step({ ...good, ...wrong })),
  );
  const link = (name: string) => ({
    ...{ kind: "ip", family: 4, object: "link", words: ["dev", name] },
  });
  assertEquals(
    parseState(
      JSON.stringify({ ...STATE, undo: step(link("tun0-dns")) }),
      "tun0",
    )
      .undo.length,
    STATE.undo.length + 1,
  );
  refuses("undo", [step(link("tun1-dns")), step(link("tun0-dns2"))]);
});

Deno.test("parseState() refuses texts for people that a terminal would obey", () => {
  refuses("since", NOT_TEXT);
  refuses("problem", NOT_TEXT);
});

Deno.test("parseState() refuses undo steps that pvpn never writes", () => {
  const step = (value: unknown) => [...STATE.undo, value];
  refuses(
    "undo",
    [
      ...[undefined, null, {}, "ip link delete dev tun0"],
      ...[null, 1, "x", [], {}, { kind: "sh", words: ["id"] }, { kind: "ip" }],
    ].map((value, i) => i < 4 ? value : step(value)),
  );
});
