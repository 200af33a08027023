/** Proves that nodes, snapshots and captures tell the truth. */
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { exists } from "@std/fs";
import { capture } from "./capture.ts";
import { changes } from "./snapshot.ts";
import { labTest } from "./suite.ts";

/** What a snapshot shows for a change, how to make it and to undo it. */
const CHANGES: Readonly<Record<string, readonly [string, string]>> = {
  "route: 192.0.2.1 via 10.77.0.1 dev c0": [
    "ip route add 192.0.2.1 via 10.77.0.1",
    "ip route del 192.0.2.1",
  ],
  "route: default via 10.77.0.1 dev c0 table 77": [
    "ip route add default via 10.77.0.1 table 77",
    "ip route flush table 77",
  ],
  "route6: unreachable 2001:db8::1 ": [
    "ip route add unreachable 2001:db8::1",
    "ip route del unreachable 2001:db8::1",
  ],
  "rule: 99:\tfrom all to 192.0.2.1 lookup main": [
    "ip rule add pref 99 to 192.0.2.1 lookup main",
    "ip rule del pref 99",
  ],
  "rule6: 99:\tfrom all ": [
    "ip -6 rule add pref 99 lookup main",
    "ip -6 rule del pref 99",
  ],
  "nft: table inet mine": [
    "nft add table inet mine",
    "nft delete table inet mine",
  ],
  "sysctl: net.ipv4.ip_forward = 1": [
    "sysctl -qw net.ipv4.ip_forward=1",
    "sysctl -qw net.ipv4.ip_forward=0",
  ],
  "link: ": [
    "ip tuntap add dev tun7 mode tun",
    "ip tuntap del dev tun7 mode tun",
  ],
  "address: ": [
    "ip addr add 10.1.2.3 dev lo",
    "ip addr del 10.1.2.3/32 dev lo",
  ],
  "/run: /run/state 0640 ": ["umask 027; echo >/run/state", "rm /run/state"],
  "/run: /run/hidden ": ["mkfifo /run/hidden", "rm /run/hidden"],
  "/tmp: /tmp/x -> y": ["ln -s y /tmp/x", "rm /tmp/x"],
  "/etc: /etc/hosts ": [
    "cp -p /etc/hosts /etc/old; echo >>/etc/hosts",
    "cat /etc/old >/etc/hosts; rm /etc/old",
  ],
  "/etc: /etc/resolv.conf ": [
    "cp -p /etc/resolv.conf /etc/new; ln /etc/resolv.conf /etc/old; mv /etc/new /etc/resolv.conf",
    "mv /etc/old /etc/resolv.conf",
  ],
  "~: ~/.ssh/control ": [
    "touch ~/.ssh/control",
    "rm ~/.ssh/control",
  ],
};

/** A shell that tells when a signal reaches it. */
const TRAP = "trap 'echo got; exit 3' TERM; echo ready; " +
  "while :; do sleep 0.01; done";

labTest("a snapshot stays the same, and shows what changes", async (lab) => {
  const { client } = lab;
  const before = await client.snapshot();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assertEquals(await client.snapshot(), before);
  const sleeper = client.spawn(["sleep", "1000"]);
  assertEquals(
    changes(before, await client.snapshot()),
    ["+ processes: sleep: sleep 1000"],
  );
  sleeper.kill("SIGKILL");
  await sleeper.output();
  for (const [shown, [make, undo]] of Object.entries(CHANGES)) {
    await client.ok(["sh", "-ec", make]);
    const now = await client.snapshot();
    assertNotEquals(now, before, make);
    const added = changes(before, now).filter((line) => line.startsWith("+ "));
    assert(
      added.some((line) => line.startsWith(`+ ${shown}`)),
      `${make}: ${added}`,
    );
    await client.ok(["sh", "-ec", undo]);
    assertEquals(changes(before, await client.snapshot()), [], undo);
  }
});

labTest("a capture has every packet", async ({ client, server }) => {
  const seen = await capture(server, "s0", ["udp", "port", "9"]);
  const send = "for i in $(seq 500); do echo >/dev/udp/10.77.0.1/9; done";
  await client.ok(["bash", "-c", send]);
  const packets = await seen.stop();
  assertEquals(packets.length, 500);
  assertMatch(packets[0] ?? "", /IP 10\.77\.0\.2\.\d+ > 10\.77\.0\.1\.9: UDP/);
  assertEquals(await server.processes(), []);
  await assertRejects(() => capture(server, "none"), Error, "No such device");
});

labTest(
  "a command has few variables, its exit code and its signal",
  async (lab) => {
    const { client } = lab;
    assertEquals(
      (await client.ok(["env"], { env: { A: "b" } })).trim().split("\n").sort(),
      [
        "A=b",
        `HOME=${client.home}`,
        "LANG=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=dumb",
      ],
    );
    assertEquals(await client.ok(["pwd"], { cwd: "/run" }), "/run\n");
    const script = "cat; echo oh >&2; exit 7";
    assertEquals(
      await client.run(["sh", "-c", script], { stdin: "in" }),
      { code: 7, stdout: "in", stderr: "oh\n", signal: null },
    );
    await assertRejects(
      () => client.ok(["sh", "-c", script]),
      Error,
      "exit 7: oh",
    );
    const late = await client.run(["sleep", "9"], { timeout: 100 });
    assertEquals(late.signal, "SIGKILL");
    const left = await client.run(["sh", "-c", "sleep 9 &"], { timeout: 100 });
    assertStringIncludes(left.stderr, "still open");
    const [orphan] = await client.processes();
    assertEquals([orphan?.ppid, orphan?.args], [1, "sleep 9"]);
    assert(await client.kill(orphan?.pid ?? 0, "SIGKILL"));
    assertEquals(await client.processes(), []);
  },
);

labTest(
  "signals and files go to the node's own",
  async ({ client, server }) => {
    const child = client.spawn(["sh", "-c", TRAP]);
    const reader = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    assertEquals((await reader.read()).value, "ready\n");
    const pid = client.pidOf(child);
    assert((await client.processes()).some((process) => process.pid === pid));
    await client.kill(pid, "SIGTERM");
    assertEquals((await reader.read()).value, "got\n");
    assertEquals((await child.status).code, 3);
    await Promise.all([reader.cancel(), child.stderr.cancel()]);

    await client.ok(["ln", "-sf", "/run/real", "/etc/resolv.conf"]);
    await client.writeFile("/etc/resolv.conf", "text\n");
    assertEquals(await client.ok(["cat", "/run/real"]), "text\n");
    assertEquals(await client.readFile("/var/run/real"), "text\n");
    assertEquals((await server.run(["test", "-e", "/run/real"])).code, 1);
    assert(!await exists("/run/real"));
    await client.remove("/etc/resolv.conf");
    assertEquals(await client.readFile("/run/real"), "text\n");
  },
);
