import { assertEquals, assertMatch } from "@std/assert";
import { sshRows, typeRows } from "../../lib/check_types.ts";
import type { Facts } from "../../lib/probe.ts";
import { plugins } from "../../plugins/mod.ts";

const facts = (
  values: Record<string, string>,
  more: Partial<Facts>,
): Facts => ({
  ...{ values: new Map(Object.entries(values)), resolvers: [] },
  ...{ findings: new Map(), login: {} },
  ...more,
});

Deno.test("typeRows() tells what is missing from what cannot be told", () => {
  const [plugin] = plugins;
  const check = { name: "x", hint: "apt install ppp", test: "" };
  const wanted = Array.from({ length: 4 }, () => ({ plugin: plugin!, check }));
  const findings = new Map([
    [0, { status: 0, text: "2.4.9" }],
    [1, { status: 1, text: "" }],
    [2, { status: 2, text: "who knows" }],
  ]);
  const found = facts({ manager: "apk" }, { findings });
  const rows = typeRows(wanted, found);
  assertEquals(rows.map(({ status, fix }) => [status, ...fix]), [
    ["ok"],
    ["missing", "apk add ppp"],
    ["warning", "apk add ppp"],
    ["warning", "apk add ppp"],
  ]);
  assertEquals(rows[0]?.detail, `for ${plugin!.type}: 2.4.9`);
});

const FORWARDED = [{ type: "w", openssh: "7.8" }, { type: "x" }] as const;

Deno.test("sshRows() holds an OpenSSH to what types need, on both ends", () => {
  const rowsOf = (software?: string) =>
    [
      ...sshRows(
        FORWARDED,
        "client",
        facts(software === undefined ? {} : { ssh: software }, {}),
      ),
      ...sshRows(
        FORWARDED,
        "server",
        facts({ manager: "pacman" }, {
          login: software === undefined ? {} : { software },
        }),
      ),
    ].map(({ end, name, type, status, detail, fix }) => {
      assertEquals([name, type], ["OpenSSH 7.8", "w"]);
      return [end, status, detail, ...fix];
    });
  assertEquals(rowsOf("OpenSSH_10.0p2 Debian-7"), [
    ["client", "ok", "for w: 10.0p2"],
    ["server", "ok", "for w: 10.0p2"],
  ]);
  assertEquals(rowsOf("OpenSSH_7.7"), [
    ["client", "missing", "for w: 7.7", "apt install openssh-client"],
    ["server", "missing", "for w: 7.7", "pacman -S openssh"],
  ]);
  for (const other of ["dropbear_2022.83", undefined]) {
    for (const [, status, detail] of rowsOf(other)) {
      assertEquals(status, "warning");
      assertEquals(detail, `for w: ${other ?? "unknown"}`);
    }
  }
});

Deno.test("sshRows() warns of a key that may forward nothing", () => {
  const login = { software: "OpenSSH_9.2p1" };
  const rowsFor = (allowed?: string[]) =>
    sshRows(
      FORWARDED,
      "server",
      facts({}, { login: allowed ? { ...login, allowed } : login }),
    );
  for (const allowed of [undefined, ["port-forwarding", "pty"]]) {
    assertEquals(rowsFor(allowed).map(({ name }) => name), ["OpenSSH 7.8"]);
  }
  const [, key] = rowsFor(["pty"]);
  assertEquals([key?.name, key?.status, key?.type], ["key", "warning", "w"]);
  assertMatch(key?.fix.join() ?? "", /"port-forwarding" behind "restrict"/);
});
