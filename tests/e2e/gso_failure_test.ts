/** What ssh-gso does not get far without, on either end. */
import { assertFails, suite, typed, unchanged } from "./helpers.ts";
import {
  bob,
  FAILURES,
  type Failures,
  failureTests,
  LAB,
} from "./failure_cases.ts";
import type { Node } from "../lab/lab.ts";

const test = suite(LAB);
const gso = typed("ssh-gso");
const SSH_3 = /-t ssh-3/;

/** Hides a file of a node's. */
async function hide(node: Node, path: string) {
  await node.ok(["mount", "--bind", "/dev/null", path]);
  return () => node.ok(["umount", path]);
}

/** Has a node show no TUN. */
async function noTun(node: Node) {
  await node.ok(["mount", "-t", "tmpfs", "none", "/dev/net"]);
  return () => node.ok(["umount", "/dev/net"]);
}

/** What the pump needs of the server. */
const NO_PUMP: Failures = {
  "no perl on the server": {
    setUp: ({ server }) => hide(server, "/usr/bin/perl"),
    ...{ code: 6, error: /server has no perl/, hint: SSH_3 },
  },
  "no /dev/net/tun on the server": {
    setUp: ({ server }) => noTun(server),
    ...{ code: 6, error: /cannot open \/dev\/net\/tun/, hint: /modprobe tun/ },
  },
  "a user of the server's who is not root": {
    setUp: bob,
    host: "bob@server",
    ...{
      code: 6,
      error: /the server's end .*(?:denied|not permitted)/,
      hint: /root@HOST/,
    },
  },
};

failureTests(gso, test, { ...NO_PUMP, ...FAILURES });

test("ssh-gso needs no permission of sshd's", async (lab) => {
  await lab.startSshd(["PermitTunnel no", "DisableForwarding yes"]);
  await using _ = await gso.up(lab, ["root@server", "10.88.0.0/24"]);
  await lab.client.ok(["ping", "-c1", "-W2", "10.88.0.9"]);
  await lab.startSshd();
});

test("ssh-gso says what is missing here, and the way out", async (lab) => {
  const { client } = lab;
  for (
    const [path, error, hint] of [
      ["/usr/bin/perl", /"ssh-gso" needs perl on this machine/, SSH_3],
      ["/dev/net/tun", /"ssh-gso" needs \/dev\/net\/tun/, /modprobe tun/],
    ] as const
  ) {
    const show = await (path === "/dev/net/tun" ? noTun : hide)(client, path);
    const run = () => gso.connect(lab, ["root@server", "10.88.0.0/24"]);
    const result = await unchanged(lab, run);
    await show();
    assertFails(result, 4, error, hint);
  }
});

test("what a login shell prints is no packet, and hides no line", async (lab) => {
  const { server } = lab;
  // sshd runs the user's shell; bash reads this when it is sshd's.
  await server.writeFile(
    `${server.home}/.bashrc`,
    "echo Welcome; seq 3000; printf Hello >&2\n",
  );
  const passwd = await server.readFile("/etc/passwd");
  const bash = passwd.replace(/^(root:.*:)[^:]*$/m, "$1/bin/bash");
  await server.writeFile("/etc/passwd", bash);
  {
    await using _ = await gso.up(lab, ["root@server", "10.88.0.0/24"], {
      says: /^pvpn: ssh: Hello$/m,
    });
    await lab.client.ok(["ping", "-c1", "-W2", "10.88.0.9"]);
  }
  await server.writeFile("/etc/passwd", passwd);
  await server.remove(`${server.home}/.bashrc`);
});
