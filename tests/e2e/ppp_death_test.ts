/** A tunnel of type ppp that is up, or about to be, and loses something. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capture } from "../lab/capture.ts";
import { ADDRESS, type Lab, type Node } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { suite, typed, up as upSsh3 } from "./helpers.ts";
import { eventually, start } from "./running.ts";

const ppp = typed("ppp");
const test = suite({ jump: false });

const PING = ["ping", "-c1", "-W2", "-n"];
const HOST = "root@server";

async function pidsOf(node: Node, name: RegExp): Promise<number[]> {
  const all = await node.processes();
  return all.filter(({ comm }) => name.test(comm)).map(({ pid }) => pid);
}

async function killAll(node: Node, name: RegExp): Promise<number> {
  const pids = await pidsOf(node, name);
  await Promise.all(pids.map((pid) => node.kill(pid, "SIGKILL")));
  return pids.length;
}

/** Waits until nothing of pvpn's but the keeper is at work, and it is up. */
async function settled({ client }: Lab): Promise<void> {
  await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
}

async function stop(lab: Lab): Promise<void> {
  const { code, stdout, stderr } = await pvpn(lab, ["-S"]);
  assertEquals({ code, stdout, stderr }, {
    ...{ code: 0, stdout: "ppp0 disconnected\n", stderr: "" },
  });
}

for (
  const [who, end, name] of [
    ["ssh", "client", /^ssh$/],
    ["pppd here", "client", /^pppd$/],
    ["pppd there", "server", /^pppd$/],
  ] as const
) {
  test(`ppp comes back after kill -9 of ${who}, and leaks nothing`, async (lab) => {
    const { client } = lab;
    await ppp.up(lab, [HOST, "default"]);
    const filter = [
      "not arp and not icmp6 and not dst net ff02::/16 and not port 22",
    ];
    const seen = await capture(client, "c0", filter);
    const flood = client.spawn(["ping", "-qni", "0.1", ADDRESS.public]);
    assert(await killAll(lab[end], name) > 0);
    await eventually(client, ["pgrep", "-x", "pvpn"], 5000);
    await eventually(client, [...PING, ADDRESS.public], 30_000);
    flood.kill("SIGKILL");
    await flood.output();
    assertEquals(await seen.stop(), []);
    await settled(lab);
    await stop(lab);
  });
}

test("pvpn -S finds a pppd whose keeper was killed", async (lab) => {
  await ppp.up(lab, [HOST, "10.88.0.0/24"]);
  await killAll(lab.client, /^sh$/);
  await stop(lab);
});

test("pvpn -S undoes ppp after kill -9 of everything on both ends", async (lab) => {
  await ppp.up(lab, [HOST, "default"]);
  await Promise.all([
    lab.stopSshd(),
    killAll(lab.client, /./),
    killAll(lab.server, /./),
  ]);
  assert((await lab.client.run([...PING, ADDRESS.public])).code !== 0, "leaks");
  await stop(lab);
  await lab.startSshd();
});

test("ppp carries packets again after 20 s, and 60 s, of SIGSTOP", async (lab) => {
  const { client } = lab;
  await ppp.up(lab, [HOST, "default"]);
  for (const seconds of [20, 60]) {
    const pids = await pidsOf(client, /./);
    for (const pid of pids) await client.kill(pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    for (const pid of pids) await client.kill(pid, "SIGCONT");
    await eventually(client, [...PING, ADDRESS.public], 60_000);
    await settled(lab);
  }
  await stop(lab);
});

test("pvpn -S stops ppp while it reconnects", async (lab) => {
  await ppp.up(lab, [HOST, "default"]);
  await lab.stopSshd();
  await killAll(lab.client, /^ssh$/);
  await eventually(lab.client, ["pgrep", "-x", "pvpn"], 5000);
  await stop(lab);
  await lab.startSshd();
});

test("pvpn -f reconnects ppp by itself, and cleans up at SIGTERM", async (lab) => {
  const running = start(lab, ["-f", HOST, "default"]);
  assertEquals(await running.firstOutput, "ppp0 connected");
  await killAll(lab.client, /^pppd$/);
  await eventually(lab.client, [...PING, ADDRESS.public], 30_000);
  await running.kill("SIGTERM");
  const { code, stderr } = await running.ended;
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /"ppp0" lost its connection/);
  assertMatch(stderr, /"ppp0" is connected again/);
});

test("LCP echo notices a peer that falls silent, where ssh cannot", async (lab) => {
  const { client } = lab;
  await ppp.up(lab, [HOST, "10.88.0.0/24"]);
  const [ssh = 0] = await pidsOf(client, /^ssh$/);
  await client.kill(ssh, "SIGSTOP");
  const start = performance.now();
  await eventually(client, ["pgrep", "-x", "pvpn"], 60_000);
  const spent = performance.now() - start;
  assert(spent > 19_000, `${spent} ms: it was something else`);
  await eventually(client, [...PING, ADDRESS.inet], 30_000);
  await settled(lab);
  assert(!(await pidsOf(client, /^ssh$/)).includes(ssh), "it is still there");
  await stop(lab);
});

test("ppp and ssh-3 hold a slow, lossy link, and outlive cuts of it", async (lab) => {
  const { client } = lab;
  const netem = (change: string, ...how: string[]) =>
    client.ok(["tc", "qdisc", change, "dev", "c0", "root", ...how]);
  const slow = ["netem", "delay", "100ms", "loss", "1%"];
  await netem("add", ...slow);
  await ppp.up(lab, [HOST, "10.88.0.0/24"]);
  await upSsh3(lab, [HOST, "203.0.113.0/24"]);
  const both = [ADDRESS.inet, ADDRESS.public];
  // ping(8) does not wait for a last answer longer than twice the longest RTT
  // it has seen: the packets after the 25 give these time to be sent again.
  const packets = ["ping", "-n", "-c60", "-i0.2"];
  for (const address of both) {
    const { stdout } = await client.run([...packets, address]);
    const answered = [...stdout.matchAll(/ icmp_seq=(\d+) /g)]
      .map(([, n]) => Number(n)).filter((n) => n <= 25);
    assertEquals(new Set(answered).size, 25, stdout);
  }
  // After the shorter one, the connection may still be there; both ends have
  // given the other up after the longer one.
  for (const seconds of [30, 45]) {
    await netem("change", "netem", "loss", "100%");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    await netem("change", ...slow);
    for (const address of both) {
      await eventually(client, [...PING, address], 60_000);
    }
    await settled(lab);
  }
  for (const device of ["ppp0", "tun0"]) {
    const { reconnects } = JSON.parse(
      await client.readFile(`/run/pvpn/${device}.json`),
    );
    assert(reconnects > 0, `${device} has not lost its connection`);
  }
  await netem("delete");
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
});
