/**
 * The uplink is cut, or the whole client stands still, for a while: traffic
 * flows again by itself, and none of it leaves in clear in between. Each has a
 * lab of its own, and all wait at the same time.
 *
 * PVPN_CUT is how many seconds the longest cut takes: without it 100, which is
 * longer than both ends' patience.
 */
import { assert, assertEquals } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import { ADDRESS, Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { rootTest } from "../lab/suite.ts";
import { until } from "../unit/helpers.ts";
import { Before, eventually } from "./running.ts";

const LONGEST = Number(Deno.env.get("PVPN_CUT") || 100);

const wait = (seconds: number) =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const ping = (address: string) => ["ping", "-n", "-c1", "-W2", address];
const INSIDE = [ADDRESS.public, ADDRESS.public6, ADDRESS.inet];

// Counts what leaves by the cable and is neither ssh nor IPv6's neighbours.
const WATCH = `table inet watch {
  counter clear { }
  chain out {
    type filter hook postrouting priority 300
    oifname != "c0" accept
    ip daddr ${ADDRESS.server} tcp dport 22 accept
    icmpv6 type { 133-137, 143 } accept
    counter name clear
  }
}`;

/** How many packets have left in clear since this was asked last. */
async function clear({ client }: Lab): Promise<number> {
  const argv = ["nft", "-j", "reset", "counter", "inet", "watch", "clear"];
  const { nftables } = JSON.parse(await client.ok(argv)) as {
    nftables: { counter?: { packets: number } }[];
  };
  const counter = nftables.find((one) => one.counter)?.counter;
  assert(counter);
  return counter.packets;
}

/** The pids of the client's processes but those that make the traffic. */
async function pids({ client }: Lab): Promise<number[]> {
  const all = await client.processes();
  // By what it is to become, too: nsenter, stopped with it, would stay so.
  return all.filter(({ args }) => !/(?:^|[ /])ping /.test(args))
    .map(({ pid }) => pid);
}

async function reconnects({ client }: Lab, device: string): Promise<number> {
  const text = await client.readFile(`/run/pvpn/${device}.json`);
  return (JSON.parse(text) as { reconnects: number }).reconnects;
}

/** Whether the connections may, or must, have been lost meanwhile. */
type Lost = "no" | "maybe" | "yes";

/**
 * Two tunnels under traffic of both families, while something happens to what
 * they stand on.
 *
 * @param lost whether both connect again
 * @param happens resolves when all is as it was before
 */
async function disturb(
  lost: Lost,
  happens: (lab: Lab) => Promise<void>,
): Promise<void> {
  await using lab = await Lab.up({ jump: false });
  const { client, server } = lab;
  await client.ok(["nft", "-f", "-"], { stdin: WATCH });
  // A cable that is pulled takes no address with it; and a session whose
  // client has gone without a word is missed after a while.
  await server.ok([
    ...["sysctl", "-qw", "net.ipv6.conf.s0.keep_addr_on_down=1"],
    `net.ipv4.tcp_keepalive_time=${LONGEST + 30}`,
  ]);
  await client.ok(ping(ADDRESS.public6));
  assert(await clear(lab) > 0, "what leaves in clear is not seen");
  const before = await Before.of(lab);
  for (
    const [type, route] of [["ssh-3", "default"], ["ssh-gso", "10.88.0.0/24"]]
  ) {
    const { code, stderr } = await pvpn(lab, [
      "-t",
      type!,
      "root@server",
      route!,
    ]);
    assertEquals(code, 0, stderr);
  }
  const floods = INSIDE.map((address) =>
    client.spawn(["ping", "-n", "-q", "-i", "0.1", "-W1", address])
  );
  try {
    for (const address of INSIDE) await eventually(client, ping(address), 5000);
    await clear(lab);
    await happens(lab);
    for (const address of INSIDE) {
      await eventually(client, ping(address), 60_000);
    }
    await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 60_000);
    assertEquals(await clear(lab), 0, "packets left in clear");
    const again = [
      await reconnects(lab, "tun0"),
      await reconnects(lab, "tun1"),
    ];
    if (lost === "no") assertEquals(again, [0, 0]);
    if (lost === "yes") assert(again.every((count) => count > 0), `${again}`);
    // The server misses the sessions before, and what is up stays so.
    await until(async () => {
      const all = await server.processes();
      return all.filter(({ args }) => /^sshd\S*: root@/.test(args)).length ===
        2;
    }, deadline(120));
    for (const address of INSIDE) {
      await eventually(client, ping(address), 5000);
    }
    assertEquals(await clear(lab), 0, "packets left in clear");
  } finally {
    for (const child of floods) child.kill("SIGKILL");
    await Promise.all(floods.map((child) => child.output()));
  }
  const { code, stderr } = await pvpn(lab, ["-S"]);
  assertEquals([code, stderr], [0, ""]);
  await before.assertSame("after all");
}

/** Pulls the cable: its other end is switched off. */
const pull = (seconds: number) => async ({ server }: Lab) => {
  await server.ok(["ip", "link", "set", "s0", "down"]);
  await wait(seconds);
  await server.ok(["ip", "link", "set", "s0", "up"]);
};

/** Switches this end off: addresses and routes go, and somebody brings others. */
const switchOff = (seconds: number) => async ({ client }: Lab) => {
  await client.ok(["ip", "link", "set", "c0", "down"]);
  await wait(seconds);
  await client.ok(["ip", "-batch", "-"], {
    stdin: `link set c0 up
addr add fd77::2/64 dev c0
route add default via 10.77.0.1
route add default via fd77::1
`,
  });
};

async function suspend(lab: Lab): Promise<void> {
  const all = await pids(lab);
  for (const pid of all) await lab.client.kill(pid, "SIGSTOP");
  await wait(120);
  for (const pid of all) await lab.client.kill(pid, "SIGCONT");
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  "a cut of 5 s is slept through": () => disturb("no", pull(5)),
  "traffic flows again after a cut of 60 s": () => disturb("yes", pull(60)),
  [`traffic flows again after a cut of ${LONGEST} s`]: () =>
    disturb("yes", switchOff(LONGEST)),
  "traffic flows again after 2 min of SIGSTOP": () => disturb("maybe", suspend),
};

let all: Promise<PromiseSettledResult<void>[]> | undefined;
for (const [index, name] of Object.keys(CASES).entries()) {
  rootTest(name, async () => {
    all ??= Promise.allSettled(Object.values(CASES).map((run) => run()));
    const result = (await all)[index]!;
    if (result.status === "rejected") throw result.reason;
  });
}
