/** `--parallel`: one tunnel by several ssh processes, and what ends some. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { PUMP } from "../../plugins/pump.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach, reachUdp } from "../lab/reach.ts";
import { assertFails, suite, typed } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ jump: false });
const { up } = typed("ssh-gso");
const THROUGH = /IPv6 goes through the tunnel/;

/** The processes of a name on a node. */
async function pids(node: Node, name: RegExp): Promise<number[]> {
  const all = await node.processes();
  return all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid)
    .sort((a, b) => a - b);
}

/** The pumps, oldest first. */
const pumps = ({ client }: Lab) => pids(client, /^pvpn-pump/);

/** Waits until so many connections of ssh carry the tunnel. */
async function untilCarried({ client }: Lab, count: number): Promise<void> {
  const ss = "ss -Htn state established dport = :22";
  const script = `[ "$(${ss} | wc -l)" = ${count} ]`;
  await eventually(client, ["sh", "-c", script], 20_000);
  // Each has its queue of the device, and the device is the server's last.
  const queues =
    `[ "$(ls -d /sys/class/net/tun*/queues/tx-* | wc -l)" = ${count} ]`;
  await eventually(client, ["sh", "-c", queues], 20_000);
}

/** Bytes that went each way over each connection of ssh. */
async function carried({ client }: Lab): Promise<[number, number][]> {
  const argv = ["ss", "-Htni", "state", "established", "dport", "=", ":22"];
  const text = await client.ok(argv);
  const all = (key: string) =>
    [...text.matchAll(new RegExp(` ${key}:(\\d+)`, "g"))]
      .map(([, bytes]) => Number(bytes));
  const [sent, received] = [all("bytes_acked"), all("bytes_received")];
  assertEquals(sent.length, received.length);
  return sent.map((bytes, i) => [bytes, received[i]!]);
}

/** Traffic of many flows, each of which comes back whole. */
async function flows(
  { client }: Lab,
  count: number,
  to: string = ADDRESS.inet,
  from = "10.88.0.1",
): Promise<void> {
  const all = Array.from({ length: count }, () => reach(client, to));
  for (const one of await Promise.all(all)) assertEquals(one, { from });
}

test("--parallel spreads flows over its ssh processes, both ways", async (lab) => {
  const args = ["--parallel", "3", "root@server", "default"];
  const logins = await lab.logins();
  await using tunnel = await up(lab, args, { says: THROUGH });
  await untilCarried(lab, 3);
  assertEquals(await lab.logins() - logins, 3);
  const before = await carried(lab);
  await flows(lab, 60);
  const after = await carried(lab);
  for (const [i, [sent, received]] of after.entries()) {
    assert(sent - before[i]![0] > 1000, "a connection that carries nothing");
    assert(received - before[i]![1] > 1000, "nothing came by a connection");
  }
  assertEquals(await reachUdp(lab.client, ADDRESS.inet), true);
  await flows(lab, 30, ADDRESS.public6, ADDRESS.serverInside6);
  const { peer } = await tunnel.pair();
  await lab.client.ok(["ping", "-n", "-c20", "-i.02", "-s", "20000", peer]);
});

test("without one of its ssh processes it goes on, and gets another", async (lab) => {
  const { client } = lab;
  const args = ["--parallel", "3", "root@server", "10.88.0.0/24"];
  await using _ = await up(lab, args);
  await untilCarried(lab, 3);
  const reconnects = async () =>
    JSON.parse((await pvpn(lab, ["-l", "--json"])).stdout).tunnels[0]
      .reconnects;
  // The pumps beside the first are its children.
  const [, ...others] = await pumps(lab);
  assertEquals(others.length, 2);
  for (const pid of others) {
    await client.kill(pid, "SIGKILL");
    await flows(lab, 20);
    await untilCarried(lab, 3);
    await flows(lab, 20);
  }
  // ssh, and what the server has for it: all but the first, which is older.
  const [, ssh] = await pids(client, /^ssh$/);
  await client.kill(ssh!, "SIGKILL");
  await untilCarried(lab, 3);
  await flows(lab, 20);
  assertEquals(await reconnects(), 0);
});

test("without the first of its ssh processes all are made anew", async (lab) => {
  const { client, server } = lab;
  await using _ = await up(lab, [
    ...["--parallel", "3", "root@server", "10.88.0.0/24"],
  ]);
  await untilCarried(lab, 3);
  const [first] = await pids(client, /^ssh$/);
  await client.kill(first!, "SIGKILL");
  const list = `test "$(ip -o link show type tun | wc -l)" = 1`;
  await eventually(server, ["sh", "-c", list], 20_000);
  const ping = ["ping", "-n", "-c1", "-W1", ADDRESS.inet];
  await eventually(client, ping, 20_000);
  await untilCarried(lab, 3);
  await flows(lab, 20);
});

for (const what of ["keeper", "first pump", "pump beside it"]) {
  test(`kill -9 of the ${what} and of what it leaves leaves nothing`, async (lab) => {
    const { client, server } = lab;
    await up(lab, ["--parallel", "4", "root@server", "10.88.0.0/24"]);
    await untilCarried(lab, 4);
    const [first, other] = await pumps(lab);
    const { stdout } = await pvpn(lab, ["-l", "--json"]);
    assertMatch(stdout, /"parallel":4,/);
    const [keeper] = await pids(client, /^sh$/);
    const pid = { keeper, "first pump": first, "pump beside it": other }[what];
    await client.kill(pid!, "SIGKILL");
    const gone = ["sh", "-c", "! pidof ssh && ! pgrep ^pvpn-pump"];
    if (what === "keeper") await eventually(client, gone, 20_000);
    else assertEquals((await pvpn(lab, ["-S"])).code, 0);
    await eventually(server, gone, 20_000);
    await pvpn(lab, ["-S"]);
  });
}

/** Lets the first session of each tunnel in, and no further one. */
const ALONE = (instead: string) =>
  `#!/bin/sh
case $SSH_ORIGINAL_COMMAND in
  *pvpn-[0-9a-f][0-9a-f]*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
esac
${instead}
`;

const OTHERS = {
  refuses: "echo 'one is enough' >&2; exit 1",
  "says nothing to": "exec cat >/dev/null",
};
for (const [what, script] of Object.entries(OTHERS)) {
  test(`a server that ${what} all but one is told of, and the tunnel is up`, async (lab) => {
    await lab.server.writeFile("/tmp/alone", ALONE(script));
    await lab.startSshd(["ForceCommand sh /tmp/alone"]);
    const args = ["--parallel", "3", "root@server", "10.88.0.0/24"];
    {
      await using _ = await up(lab, args, {
        says: /warning: only 1 of 3 ssh processes are up; the others are tried/,
        env: { SSH_ARGS: "-v" },
      });
      await flows(lab, 5);
      if (script.includes("exit")) {
        await lab.startSshd();
        await untilCarried(lab, 3);
      }
    }
    await lab.server.remove("/tmp/alone");
    await lab.startSshd();
  });
}

test("a server that takes its time gets all of them", async (lab) => {
  // It says what it has found 9 s after its pump has said that it is there.
  await lab.server.writeFile(
    "/tmp/slow",
    `case $SSH_ORIGINAL_COMMAND in
      *pvpn-[0-9a-f][0-9a-f]*) command=$(printf '%s' "$SSH_ORIGINAL_COMMAND" |
        sed 's/^report() {$/report() {\\nsleep 9/') ;;
      *) command=$SSH_ORIGINAL_COMMAND ;;
    esac
    exec sh -c "$command"
`,
  );
  await lab.startSshd(["ForceCommand exec sh /tmp/slow"]);
  {
    const args = ["--parallel", "3", "root@server", "10.88.0.0/24"];
    await using _ = await up(lab, args, {
      says: /warning: only 1 of 3 ssh processes are up/,
    });
    await untilCarried(lab, 3);
  }
  await lab.server.remove("/tmp/slow");
  await lab.startSshd();
});

test("a port that ssh forwards is the first one's alone", async (lab) => {
  const args = ["--parallel", "3", "root@server", "10.88.0.0/24"];
  const SSH_ARGS = "-L 127.0.0.1:4000:10.88.0.9:5200";
  await using _ = await up(lab, args, { env: { SSH_ARGS } });
  await untilCarried(lab, 3);
});

/** Attaches to a device as another user, with /dev/net/tun open to all. */
const ATTACH = `use Fcntl;
  sysopen my $tun, "/dev/net/tun", O_RDWR or die "open: $!\n";
  $> = 65534; $> == 65534 or die "still root\n";
  ioctl $tun, 0x400454ca, pack "a16 S x22", $ARGV[0], 0x5101 or die "$!\n";`;

test("nobody else gets a queue of the devices", async (lab) => {
  const args = ["--parallel", "2", "root@server", "10.88.0.0/24"];
  await using _ = await up(lab, args);
  await untilCarried(lab, 2);
  for (const node of [lab.client, lab.server]) {
    const list = await node.ok(["ip", "-o", "link", "show", "type", "tun"]);
    const device = /^\d+: (\w+):/.exec(list)?.[1];
    assert(device, list);
    const { code, stderr } = await node.run(["perl", "-e", ATTACH, device]);
    assert(code !== 0);
    assertEquals(stderr, "Operation not permitted\n");
  }
});

/** Takes a queue of a device, puts it aside where asked to, and says so. */
const AHEAD = `use Fcntl; $| = 1;
  sysopen my $tun, "/dev/net/tun", O_RDWR or die "open: $!\\n";
  my ($take, $aside) = map { pack "a16 S x22", "tun7", $_ } 0x5101, 0x0400;
  ioctl $tun, 0x400454ca, $take or die "$!\\n";
  !$ARGV[0] || ioctl $tun, 0x400454d9, $aside or die "$!\\n";
  print "there\\n"; <STDIN>;`;

test("who has a queue of a new device is noticed, even of one put aside", async (lab) => {
  const { client } = lab;
  const device = ["dev", "tun7", "mode", "tun", "vnet_hdr", "multi_queue"];
  const attach = [PUMP, "tun7", "10.9.9.1", "2", "new", "1", "false"];
  await client.ok(["ip", "tuntap", "add", ...device]);
  for (const aside of ["", "1"]) {
    const child = client.spawn(["perl", "-e", AHEAD, aside], {
      stdin: "piped",
    });
    const reader = child.stdout.getReader();
    assertEquals((await reader.read()).done, false);
    reader.releaseLock();
    const { code, stderr } = await client.run(["perl", "-we", ...attach]);
    assertEquals([code, stderr.trim()], [
      1,
      "pump: error somebody else has attached to tun7",
    ]);
    await child.stdin.close();
    await child.output();
  }
  // Nobody but ssh, which ends at once.
  assertEquals((await client.run(["perl", "-we", ...attach])).stderr, "");
  await client.ok(["ip", "tuntap", "delete", ...device]);
});

test("--parallel is refused where it means nothing", async (lab) => {
  const type = async (...args: string[]) =>
    await pvpn(lab, [...args, "root@server", "10.88.0.0/24"]);
  assertFails(
    await type("-t", "ssh-3", "--parallel=2"),
    2,
    /^"ssh-3" has one ssh process, and --parallel asks for 2$/,
    /-t ssh-gso/,
  );
  for (const text of ["0", "9", "-1", "x", "2.5"]) {
    assertFails(
      await type("-t", "ssh-gso", `--parallel=${text}`),
      2,
      /is not a number from 1 to 8/,
    );
  }
  await using _ = await up(lab, ["--parallel=1", "root@server"]);
  assertEquals((await pumps(lab)).length, 1);
});
