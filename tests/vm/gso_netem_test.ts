/** ssh-gso over lines that are long, slow, or lose packets. */
import { assert, assertEquals } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { echoes } from "../lab/load.ts";
import { suite, typed } from "../e2e/helpers.ts";

const test = suite({ jump: false });
const { up } = typed("ssh-gso");

/** Both ends of the cable between client and server, with netem's words. */
async function line({ client, server }: Lab, words: string) {
  const both = [[client, "c0"], [server, "s0"]] as const;
  const tc = (change: string, more: readonly string[]) =>
    Promise.all(
      both.map(([node, device]) =>
        node.ok(["tc", "qdisc", change, "dev", device, "root", ...more])
      ),
    );
  await tc("add", ["netem", ...words.split(" ")]);
  return () => tc("delete", []);
}

const LINES: Record<string, { words: string; bytes: number }> = {
  "a long line": { words: "delay 100ms 5ms", bytes: 3_000_000 },
  "a line that loses 1 %": { words: "delay 20ms loss 1%", bytes: 2_000_000 },
  "a line that doubles and reorders": {
    words: "delay 20ms reorder 25% 50% duplicate 1%",
    bytes: 2_000_000,
  },
  "a slow line": { words: "delay 20ms rate 4mbit", bytes: 1_000_000 },
};

for (const [name, { words, bytes }] of Object.entries(LINES)) {
  test(`ssh-gso carries streams over ${name}`, async (lab) => {
    await using _ = await up(lab, ["root@server", "10.88.0.0/24", "fd88::/64"]);
    const restore = await line(lab, words);
    try {
      const load = { streams: 2, bytes, seconds: 60 };
      await echoes(lab.client, ADDRESS.inet, load);
      await echoes(lab.client, ADDRESS.inet6, load);
    } finally {
      await restore();
    }
  });
}

test("a ping beside streams does not wait for what is queued", async (lab) => {
  await using _ = await up(lab, ["root@server", "10.88.0.0/24"]);
  const restore = await line(lab, "delay 20ms rate 4mbit limit 50");
  try {
    const load = { streams: 8, bytes: 1_500_000, seconds: 200 };
    const busy = echoes(lab.client, ADDRESS.inet, load);
    const argv = ["ping", "-n", "-q", "-i0.3", "-c60", "-W9", ADDRESS.inet];
    const text = await lab.client.ok(argv);
    await busy;
    const [, average] = /= [\d.]+\/([\d.]+)\//.exec(text) ?? [];
    const [, lost] = /([\d.]+)% packet loss/.exec(text) ?? [];
    // 500 ms as it is; 3200 where as much is under way as ssh takes.
    assert(Number(average) < 1500, text);
    assert(Number(lost) < 5, text);
  } finally {
    await restore();
  }
});

test("ssh-gso outlives a cut of the line", async (lab) => {
  const { client } = lab;
  await using tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
  const restore = await line(lab, "delay 20ms loss 100%");
  // Less than what ssh takes for a dead line.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  await restore();
  // The same session: nothing has been lost but time.
  await echoes(client, ADDRESS.inet, {
    ...{ streams: 1, bytes: 100_000, seconds: 30 },
  });
  const path = `/run/pvpn/${tunnel.device}.json`;
  const { reconnects } = JSON.parse(await client.readFile(path));
  assertEquals(reconnects, 0);
});
