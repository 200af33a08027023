import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Facts, ProbeReader } from "../../lib/probe.ts";
import { probeCommand, probeScript } from "../../lib/probe_script.ts";
import { failureOf, system } from "./helpers.ts";

function read(...lines: string[]): Facts {
  const reader = new ProbeReader("T");
  for (const line of lines) reader.read(line);
  return reader.facts();
}

Deno.test("ProbeReader reads facts, findings and resolvers", () => {
  const reader = new ProbeReader("T");
  assertEquals(reader.read("T uid=0"), true);
  assertEquals(reader.read("uid=1"), false);
  assertEquals(reader.read("T check=0 0 pppd version 2.4.9"), true);
  assertEquals(reader.read("T check=1 2 "), true);
  assertEquals(reader.read("T resolver=10.0.0.53"), true);
  assertEquals(reader.read("T resolver=$(id)"), true);
  const facts = reader.read("T ready");
  assert(typeof facts === "object");
  assertEquals([...facts.values], [["uid", "0"]]);
  assertEquals(facts.resolvers, ["10.0.0.53"]);
  assertEquals([...facts.findings], [
    [0, { status: 0, text: "pppd version 2.4.9" }],
    [1, { status: 2, text: "" }],
  ]);
});

Deno.test("ProbeReader reads in ssh's own words how the login was", () => {
  const { login } = read(
    "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2",
    "debug1: Server accepts key: /root/.ssh/id ed ED25519 SHA256:abc explicit agent",
    'Authenticated to server ([10.77.0.1]:22) using "publickey".',
  );
  assertEquals(login, {
    software: "OpenSSH_9.2p1 Debian-2",
    ...{ method: "publickey", key: "/root/.ssh/id ed", agent: true },
  });
  const plain = "debug1: Server accepts key: /k ED25519 SHA256:abc";
  assertEquals(read(plain).login, { key: "/k", agent: false });
});

Deno.test("ProbeReader refuses what the script does not say, and too much", async () => {
  for (const line of ["T evil=1", "T x", "T check=a", "T =", "T "]) {
    const { message } = await failureOf(() => read(line));
    assertMatch(message, /^the server answered the check with the line/);
  }
  const many = Array<string>(300).fill("T domain=x");
  assertMatch((await failureOf(() => read(...many))).message, /answered/);
});

const CHECKS = [
  { name: "a", hint: "", test: "echo one; echo two; exit 0" },
  { name: "b", hint: "", test: "exit 3" },
  { name: "c", hint: "", test: 'echo "it\'s $$" >/dev/null; [ -z "$token" ]' },
  { name: "d", hint: "", test: "set -u; : $no_such" },
];

Deno.test("the probe's script says all, whatever its checks do", async () => {
  for (const shell of ["sh", "bash"]) {
    const argv = [shell, "-c", probeScript(CHECKS), "pvpn", "T"];
    const { status, stdout, stderr } = await system.query(argv);
    assertEquals([status, stdout], [0, ""]);
    const lines = stderr.trim().split(/\n+/);
    for (const line of lines) assertMatch(line, /^T /);
    assertEquals(lines.at(-1), "T ready");
    const { values, findings } = read(...lines.slice(0, -1));
    assertEquals(values.get("uid"), `${Deno.uid()}`);
    assertMatch(values.get("kernel") ?? "", /^\d/);
    assertEquals(findings.get(0), { status: 0, text: "one" });
    assertEquals(findings.get(1), { status: 3, text: "" });
    assertEquals(findings.get(2)?.status, 1);
    assert(findings.get(3)?.status !== 0);
  }
});

Deno.test("probeCommand() is one word list for any login shell", () => {
  assertMatch(probeCommand(CHECKS, "T"), /^exec \/bin\/sh -c '[^]*' pvpn T$/);
});
