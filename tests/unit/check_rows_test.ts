import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CheckReport, Probed } from "../../lib/check.ts";
import { formatCheck } from "../../lib/check_format.ts";
import { inWordsOf, localRows, serverRows } from "../../lib/check_rows.ts";
import type { Facts } from "../../lib/probe.ts";
import { PLAIN } from "../../lib/table.ts";

const VALUES: Readonly<Record<string, string>> = {
  ...{ uid: "0", user: "root", kernel: "6.1.0", forward4: "1", forward6: "1" },
  ...{ congestion: "cubic", manager: "apt-get", clock: "1000" },
  ...{ ip: "ip utility, iproute2-6.1.0", ssh: "OpenSSH_9.2p1 Debian, x" },
  ...{ firewall: "nftables v1.0.6", programs: "flock nft setpriv" },
};

function facts(
  values: Record<string, string | undefined> = {},
  more: Partial<Facts> = {},
): Facts {
  const all = Object.entries({ ...VALUES, ...values });
  const known = all.filter((pair): pair is [string, string] =>
    pair[1] !== undefined
  );
  return {
    values: new Map(known),
    ...{ resolvers: ["10.0.0.53"], findings: new Map() },
    login: { software: "OpenSSH_9.2p1", method: "publickey", key: "/k" },
    ...more,
  };
}

const SOCKET = {
  ...{ owners: [1], peer: { address: "192.0.2.1", port: 22 } },
  ...{ rtt: 8.3, mss: 1448, mtu: 1500, congestion: "cubic" },
};

function server(found: Facts, probed: Partial<Probed> = {}) {
  const rows = serverRows("root@h", {
    ...{ facts: found, socket: SOCKET, once: undefined, now: 1000 },
    ...probed,
  });
  return (name: string) => {
    const row = rows.find((row) => row.name === name)!;
    return [row.status, row.detail, row.fix.join("\n")];
  };
}

Deno.test("serverRows() finds nothing wrong with a server that has all", () => {
  const rows = serverRows("root@h", {
    ...{ facts: facts(), socket: SOCKET, once: undefined, now: 1000 },
  });
  for (const { status, fix, end } of rows) {
    assertEquals([status, fix, end], ["ok", [], "server"]);
  }
  const row = server(facts());
  assertEquals(row("login")[1], "by publickey, 8.3 ms away");
  assertEquals(row("iproute2")[1], "6.1.0");
  assertEquals(row("MTU")[1], "1500 on the way there, MSS 1448");
});

Deno.test("serverRows() says what to type for what is not there", () => {
  const row = server(facts({
    ...{ uid: "1000", user: "bob", ip: undefined, firewall: "", programs: "" },
    ...{ forward4: "0", forward6: "0", manager: "dnf" },
  }));
  assertEquals(row("root")[0], "missing");
  assertEquals(row("root")[2], "pvpn --check root@h");
  assertEquals(row("iproute2"), [
    ...["missing", "no ip program", "dnf install iproute"],
  ]);
  assertEquals(row("NAT")[2], "dnf install nftables");
  assertEquals(
    row("forwarding")[2],
    "sysctl -w net.ipv4.ip_forward=1\nsysctl -w net.ipv6.conf.all.forwarding=1",
  );
  const noFlock = server(facts({ programs: "nft" }))("NAT");
  assertEquals(noFlock, [
    ...["warning", "no flock, for --nat", "apt install util-linux"],
  ]);
  const half = server(facts({ forward6: "0" }))("forwarding");
  assertEquals(half[1], "off for IPv6, but with --nat");
});

Deno.test("serverRows() warns of clocks that differ, in words", () => {
  assertEquals(server(facts(), { now: 1059 })("clock")[0], "ok");
  assertEquals(server(facts(), { now: 900 })("clock")[1], "100 s ahead");
  assertEquals(server(facts(), { now: 1100 })("clock")[1], "100 s behind");
  assertEquals(server(facts({ clock: "x" }))("clock")[0], "ok");
});

Deno.test("serverRows() warns of a login that nobody can repeat", () => {
  const once = { what: "a password", fix: ["ssh-copy-id root@h"] };
  const [status, detail = "", fix] = server(facts(), { once })("login");
  assertEquals([status, fix], ["warning", "ssh-copy-id root@h"]);
  assertMatch(detail, /cannot reconnect .* nobody types a password then$/);
});

Deno.test("localRows() asks for root, ssh, a kernel and programs", () => {
  const user = {
    ...{ name: "alice", uid: 1000, gid: 1000, home: "/home/alice", shell: "" },
  };
  const of = (...args: Parameters<typeof localRows>) => {
    const rows = localRows(...args);
    return (name: string) => rows.find((row) => row.name === name);
  };
  const all = localRows(facts(), user, true);
  assertEquals(all.filter(({ status }) => status !== "ok"), []);
  const lacking = { ssh: undefined, programs: "flock", kernel: "4.9.0-19" };
  const row = of(facts(lacking), user, false);
  assertEquals(row("root")?.status, "warning");
  assertEquals(row("ssh")?.fix, ["apt install openssh-client"]);
  assertEquals(row("Linux")?.status, "missing");
  assertEquals(row("setpriv")?.fix, ["apt install util-linux"]);
  assertEquals(row("nft")?.status, "warning");
  const root = of(facts(lacking), undefined, true);
  assertEquals([root("root")?.status, root("setpriv")], ["ok", undefined]);
});

Deno.test("inWordsOf() speaks for the package manager that is there", () => {
  assertEquals(inWordsOf(undefined, "apt install ppp"), "apt install ppp");
  assertEquals(inWordsOf("zypper", "apt install ppp"), "zypper install ppp");
  assertEquals(
    inWordsOf("pacman", "apt install openssh-client"),
    "pacman -S openssh",
  );
  assertEquals(inWordsOf("dnf", "modprobe tun"), "modprobe tun");
});

Deno.test("formatCheck() has a line a check, and what to type below it", () => {
  const report: CheckReport = {
    ...{ version: 1, host: "root@h", status: 6 },
    checks: [
      ...localRows(facts(), undefined, true).slice(0, 1),
      ...serverRows("root@h", {
        ...{ facts: facts({ ip: undefined }), socket: SOCKET },
        ...{ once: undefined, now: 1000 },
      }).filter(({ name }) => name === "iproute2"),
    ],
    types: [
      { type: "ppp", usable: true, missing: [] },
      { type: "ssh-3", usable: false, missing: ["a", "b there"] },
    ],
  };
  assertEquals(formatCheck(report, PLAIN).split("\n"), [
    "This machine:",
    "  ok       root: you are",
    "root@h:",
    "  missing  iproute2: no ip program",
    "           fix: apt install iproute2",
    "Tunnel types:",
    "  ppp can be used",
    "  ssh-3 cannot be used; missing: a, b there",
    "",
  ]);
  const detail = "x\x1b[2J ".repeat(40);
  const long = { ...report, checks: [{ ...report.checks[0]!, detail }] };
  for (const line of formatCheck(long, { ...PLAIN, columns: 80 }).split("\n")) {
    assert(line.length <= 80 && !line.includes("\x1b"), line);
  }
});
