/** Type ppp under sudo: pppd is root's, the ssh that it starts is the user's. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { ALICE, credentials, sudoPvpn } from "../lab/user.ts";
import { suite } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ jump: false, user: true });

test("under sudo, pppd runs ssh as the user, also when it reconnects", async (lab) => {
  const { client } = lab;
  const one = async (name: string) => {
    const all = await client.processes();
    const found = all.filter(({ comm }) => comm === name);
    assertEquals(found.length, 1, name);
    return found[0]!.pid;
  };
  const assertWho = async (): Promise<number> => {
    const ssh = await one("ssh");
    const { uids, capabilities } = await credentials(client, ssh);
    assertEquals(uids, Array(4).fill(`${ALICE.uid}`).join(" "));
    assertMatch(capabilities, /^[0 ]+$/);
    const pppd = await credentials(client, await one("pppd"));
    assertEquals(pppd.uids, "0 0 0 0");
    const sockets = await client.ok(["ss", "-Htne", "dport = :22"]);
    for (const line of sockets.trim().split("\n")) {
      assertMatch(line, new RegExp(`uid:${ALICE.uid}`));
    }
    return ssh;
  };
  const up = await sudoPvpn(lab, ["root@server", "10.88.0.0/24"]);
  assertEquals({ ...up, signal: null }, {
    ...{ code: 0, signal: null, stdout: "ppp0 connected\n", stderr: "" },
  });
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
  const first = await assertWho();
  await client.kill(first, "SIGKILL");
  const ping = ["ping", "-c1", "-W1", "-n", ADDRESS.inet];
  await eventually(client, ping, 20_000);
  assert(await assertWho() !== first);
  const { stdout } = await sudoPvpn(lab, ["-S"]);
  assertEquals(stdout, "ppp0 disconnected\n");
});
