/** Proves that the kernel has what tests beside these rely on. */
import { assert, assertMatch } from "@std/assert";
import { ADDRESS } from "../lab/lab.ts";
import { labTest } from "../lab/suite.ts";

labTest("netem delays the packets between nodes", async (lab) => {
  const argv = ["ping", "-c1", "-n", ADDRESS.server];
  const time = async () =>
    Number(/time=(\S+)/.exec(await lab.client.ok(argv))?.[1]);
  await lab.client.ok([
    ..."tc qdisc add dev c0 root netem delay 400ms".split(" "),
  ]);
  assert(await time() >= 400);
}, { jump: false });

labTest("nodes have WireGuard, tun and ppp", async ({ client }) => {
  await client.ok(["ip", "link", "add", "wg0", "type", "wireguard"]);
  await client.ok(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"]);
  await client.ok(["sh", "-c", "exec 3</dev/ppp"]);
  assertMatch(
    await client.ok(["ip", "-d", "link", "show", "wg0"]),
    /wireguard/,
  );
}, { jump: false });
