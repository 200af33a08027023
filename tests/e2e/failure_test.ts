import { assertEquals } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import {
  bob,
  FAILURES,
  type Failures,
  failureTests,
  keyOptions,
  LAB,
  sshd,
} from "./failure_cases.ts";
import { assertFails, connect, suite, typed } from "./helpers.ts";

const PERMIT = /PermitTunnel yes.*sshd_config/;
const ROOT = /root@HOST/;

async function noTun({ server }: Lab) {
  await server.ok(["mount", "-t", "tmpfs", "none", "/dev/net"]);
  return () => server.ok(["umount", "/dev/net"]);
}

/** What `ssh -w` alone needs of the server. */
const NO_TUNNELS: Failures = {
  "PermitTunnel no": {
    setUp: sshd("PermitTunnel no"),
    ...{ code: 6, error: /does not permit tunnels/, hint: PERMIT },
  },
  "PermitTunnel ethernet": {
    setUp: sshd("PermitTunnel ethernet"),
    ...{ code: 6, error: /does not permit tunnels/, hint: PERMIT },
  },
  "DisableForwarding yes": {
    setUp: sshd("DisableForwarding yes"),
    ...{ code: 6, error: /tunnel/, hint: /DisableForwarding/ },
    mayPass: "OpenSSH 9.2 forwards tunnels all the same",
  },
  "a key with restrict": {
    setUp: keyOptions("restrict"),
    ...{ code: 6, error: /tunnel/, hint: /"restrict".*authorized_keys/s },
    mayPass: "OpenSSH 9.2 forwards tunnels all the same",
  },
  "no /dev/net/tun on the server": {
    setUp: noTun,
    ...{
      code: 6,
      error: /could not make a tunnel device/,
      hint: /modprobe tun/,
    },
  },
};

/** What only root may do for `ssh -w`. */
const NOT_ROOT: Failures = {
  "a user of the server's who is not root": {
    setUp: bob,
    host: "bob@server",
    ...{ code: 6, error: /could not make a tunnel device/, hint: ROOT },
  },
  "a device of a user's who may not set it up": {
    setUp: async (lab) => {
      const restore = await bob(lab);
      const make =
        "mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200; " +
        "ip tuntap add dev tun5 mode tun user bob; sed -i 's/^/tunnel=\"5\" /' " +
        "/tmp/bob/.ssh/authorized_keys";
      await lab.server.ok(["sh", "-ec", make]);
      return async () => {
        const undo = "ip link delete tun5; umount /dev/net";
        await lab.server.ok(["sh", "-ec", undo]);
        await restore();
      };
    },
    host: "bob@server",
    ...{
      code: 6,
      error: /could not set its end up.*not permitted/,
      hint: ROOT,
    },
  },
};

const test = suite(LAB);

failureTests(typed("ssh-3"), test, { ...NO_TUNNELS, ...FAILURES, ...NOT_ROOT });

test("a route that goes nowhere leaves the way to the server as it was", async (lab) => {
  const { client } = lab;
  await client.ok(["ip", "route", "add", "unreachable", "10.88.0.0/24"]);
  const result = await connect(lab, ["root@server", "10.88.0.0/24"]);
  await client.ok(["ip", "route", "delete", "unreachable", "10.88.0.0/24"]);
  assertFails(result, 7, /route to 10\.88\.0\.0\/24 already/, /ip route show/);
  assertEquals((await client.run(["ping", "-c1", ADDRESS.server])).code, 0);
});
