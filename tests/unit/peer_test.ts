import { assertEquals, assertMatch } from "@std/assert";

import { findPeer, peerOf, resolveFirstHop } from "../../lib/peer.ts";
import { query, withRunner } from "./fake_runner.ts";
import { failureOf, system } from "./helpers.ts";

const line = (peer: string, users: string) =>
  `0      0      192.0.2.7:50000      ${peer}  users:(${users})\n`;
const ssh = (pid: number) => `("ssh",pid=${pid},fd=3)`;

Deno.test("peerOf() reads IPv4, IPv6, and IPv4 in IPv6", () => {
  const table: Record<string, unknown> = {
    "192.0.2.1:22": { address: "192.0.2.1", port: 22 },
    "[2001:db8::1]:2222": { address: "2001:db8::1", port: 2222 },
    "[::ffff:192.0.2.1]:22": { address: "192.0.2.1", port: 22 },
    "[fe80::1%eth0]:22": { address: "fe80::1", port: 22 },
    "192.0.2.1%eth0:22": { address: "192.0.2.1", port: 22 },
    "*:*": undefined,
    "192.0.2.1:": undefined,
    "192.0.2.1:*": undefined,
    "proxy:22": undefined,
  };
  for (const [text, server] of Object.entries(table)) {
    assertEquals<unknown>(peerOf(line(text, ssh(5)), [5]), server, text);
  }
});

Deno.test("peerOf() takes the first process that has a connection, parents first", () => {
  const text = line("192.0.2.3:22", ssh(7)) + line("192.0.2.2:22", ssh(6)) +
    line("192.0.2.9:22", `${ssh(66)},("nc",pid=8,fd=0)`) + "\n garbage\n";
  const of = (...pids: number[]) => peerOf(text, pids)?.address;
  assertEquals(of(5, 6, 7), "192.0.2.2");
  assertEquals(of(5, 7, 6), "192.0.2.3");
  assertEquals(of(8), "192.0.2.9");
  assertEquals(of(5), undefined);
  assertEquals(of(), undefined);
  assertEquals(peerOf("", [5]), undefined);
});

Deno.test("peerOf() is not misled by a process that is called like another's pid", () => {
  // Names are anybody's choice, up to 15 bytes; ss prints them as they are.
  const names = [
    "pid=5",
    "x pid=5",
    "a,pid=5,fd=3",
    '",pid=5,fd=3',
    '(("ssh",pid=5,',
  ];
  for (const name of names) {
    const text = line("203.0.113.66:443", `("${name}",pid=999,fd=3)`) +
      line("192.0.2.1:22", ssh(5));
    assertEquals(peerOf(text, [4, 5])?.address, "192.0.2.1", name);
  }
});

Deno.test("findPeer() asks for established connections only", async () => {
  const argv = ["ss", "-Htnp", "state", "established"];
  const processes = [{ pid: 5, start: "1" }, { pid: 6, start: "2" }];
  const server = await withRunner(
    [query(argv, { stdout: line("192.0.2.1:22", ssh(6)) })],
    (runner) => findPeer(processes, 22, runner),
  );
  assertEquals(server, { address: "192.0.2.1", port: 22 });
  const text = line("203.0.113.7:4711", ssh(6)) + line("192.0.2.1:22", ssh(6));
  assertEquals(peerOf(text, [6], 22), server, "a forwarding's peer was taken");
});

Deno.test("findPeer() finds a connection of this process with the installed ss", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  using _client = await Deno.connect({
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  using _server = await accepted;
  const server = await findPeer(
    [{ pid: Deno.pid, start: "" }],
    undefined,
    system,
  );
  assertEquals(server?.address, "127.0.0.1");
});

Deno.test("resolveFirstHop() needs nobody for an address", async () => {
  const resolve = (text: string) =>
    withRunner([], (runner) => resolveFirstHop(text, undefined, runner));
  assertEquals(await resolve("192.0.2.1"), "192.0.2.1");
  assertEquals(await resolve("2001:DB8:0::1"), "2001:db8::1");
});

Deno.test("resolveFirstHop() asks for a name, and takes the first address", async () => {
  const resolve = (stdout: string, status = 0) =>
    withRunner(
      [query(["getent", "ahosts", "proxy.example"], { stdout, status })],
      (runner) => resolveFirstHop("proxy.example", undefined, runner),
    );
  const found = "192.0.2.1       STREAM proxy.example\n192.0.2.2  STREAM\n";
  assertEquals(await resolve(found), "192.0.2.1");
  for (const [text, status] of [["", 2], ["\n", 0], ["x STREAM", 0]] as const) {
    const error = await failureOf(() => resolve(text, status));
    assertEquals(error.code, 5);
    assertMatch(error.message, /"proxy\.example" is not known/);
  }
});

Deno.test("resolveFirstHop() refuses what is no name", async () => {
  const texts = [
    "",
    "-x",
    "--",
    "a b",
    "a;id",
    "$(id)",
    "a\nb",
    "u@h",
    "192.0.2.1/32",
    ".a",
  ];
  for (const text of texts) {
    const error = await failureOf(() =>
      withRunner([], (runner) => resolveFirstHop(text, undefined, runner))
    );
    assertEquals(error.code, 2, text);
  }
});
