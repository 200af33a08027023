/** What is there while tunnels are up, and what it does: next to nothing. */
import { assert, assertEquals } from "@std/assert";
import { ADDRESS } from "../lab/lab.ts";
import { pidsOf, usage } from "../lab/cost.ts";
import { suite, typed } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ jump: false });
/** ssh's ServerAliveInterval, in seconds. */
const INTERVAL = 10;
/** How often what a keepalive wakes up may sleep for it: here two are seen. */
const SLEEPS = 4;

const CASES = [
  { type: "ssh-3", names: ["sh", "ssh"], mebibytes: 12 },
  { type: "ssh-gso", names: ["pvpn-pump tun0", "sh", "ssh"], mebibytes: 20 },
] as const;

for (const { type, names, mebibytes } of CASES) {
  test(`${type} is small, and wakes up for its keepalive alone`, async (lab) => {
    const { client, server } = lab;
    const foreign = await pidsOf(server);
    await using _ = await typed(type).up(lab, ["root@server", "10.88.0.0/24"]);
    await client.ok(["ping", "-n", "-c1", "-W5", ADDRESS.inet]);
    await eventually(client, ["sh", "-c", "! pgrep -x pvpn"], 10_000);
    const comms = (await client.processes()).map(({ comm }) => comm);
    assertEquals(comms.sort(), [...names]);
    const here = await pidsOf(client);
    const { rss } = await usage(client, here);
    assert(rss <= mebibytes * 1024, `${rss} KiB are resident`);

    const there = (await pidsOf(server)).filter((pid) =>
      !foreign.includes(pid)
    );
    const both = () => Promise.all([usage(client, here), usage(server, there)]);
    // Not once but again: what has just been set up may have something left.
    for (let n = 1;; n++) {
      const start = performance.now();
      const before = await both();
      await new Promise((resolve) => setTimeout(resolve, INTERVAL * 1000));
      const after = await both();
      const spent = (performance.now() - start) / 1000;
      const keepalives = Math.ceil(spent / INTERVAL);
      const sleeps = after.map((end, i) => end.sleeps - before[i]!.sleeps);
      if (Math.max(...sleeps) <= keepalives * SLEEPS) break;
      assert(n < 3, `they slept ${sleeps} times in ${spent} s`);
    }
  });
}
