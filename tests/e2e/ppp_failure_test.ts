/** What keeps pppd from its work, on either end: the cause is named. */
import { assertEquals } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import {
  bob,
  FAILURES,
  type Failures,
  failureTests,
  keyOptions,
  LAB,
} from "./failure_cases.ts";
import { suite, typed } from "./helpers.ts";

const ppp = typed("ppp");
const test = suite(LAB);

type End = "client" | "server";
type SetUp = Failures[string]["setUp"];

/** Puts a file of that text, or a device, in the place of another. */
const instead = (
  end: End,
  path: string,
  { text, device }: { text?: string; device?: string },
): SetUp =>
async (lab) => {
  const node = lab[end];
  const copy = "/tmp/instead";
  if (device === undefined) {
    await node.writeFile(copy, text ?? "", { mode: 0o755 });
  } else await node.ok(["mknod", copy, ...device.split(" ")]);
  await node.ok(["mount", "--bind", copy, path]);
  return async () => {
    await node.ok(["umount", path]);
    await node.remove(copy);
  };
};

const PPPD = "/usr/sbin/pppd";
const hidden = (end: End) => instead(end, PPPD, { device: "c 1 3" });
/** As where a device node is, but no module has made it its own: ENXIO. */
const noPpp = (end: End) => instead(end, "/dev/ppp", { device: "c 240 0" });
const options = (end: End, text: string) =>
  instead(end, "/etc/ppp/options", { text: `${text}\n` });
const pppd = (script: string) =>
  instead("server", PPPD, { text: `#!/bin/sh\n${script}\n` });

const WAY_OUT = /-t ssh-3/;
const INSTALL = /apt install ppp[^]*-t ssh-3/;
const OPTIONS = /\/etc\/ppp\/options/;

const PPP: Failures = {
  "no pppd here": {
    setUp: hidden("client"),
    ...{ code: 4, error: /needs pppd on this machine/, hint: INSTALL },
  },
  "no pppd on the server": {
    setUp: hidden("server"),
    ...{ code: 6, error: /server is not installed/, hint: INSTALL },
  },
  "no PPP in the kernel here": {
    setUp: noPpp("client"),
    ...{
      code: 4,
      error: /this machine finds no PPP in the kernel/,
      hint: /^modprobe ppp_async$[^]*-t ssh-3/m,
    },
  },
  "no PPP in the kernel of the server": {
    setUp: noPpp("server"),
    ...{
      code: 6,
      error: /server finds no PPP in the kernel/,
      hint: /^type there: modprobe ppp_async$[^]*-t ssh-3/m,
    },
  },
  "a server whose PPP lacks ppp_async": {
    // What 2.4.9 says and does when the module is not there.
    setUp: pppd(
      'echo "Couldn\'t set tty to PPP discipline: Invalid argument" >&3; exit 1',
    ),
    ...{
      code: 6,
      error: /server finds no PPP in the kernel: Couldn't set tty/,
      hint: /^type there: modprobe ppp_async$/m,
    },
  },
  "a user of the server's who is not root": {
    setUp: bob,
    host: "bob@server",
    ...{ code: 6, error: /server may not run/, hint: /root@HOST/ },
  },
  "options here that pppd does not know": {
    setUp: options("client", "nonsense"),
    ...{
      code: 7,
      error: /this machine refused its options: .*'nonsense'/,
      hint: /options on this machine/,
    },
  },
  "options on the server against all addresses": {
    setUp: options("server", "noip"),
    ...{ code: 6, error: /could not agree with the other/, hint: OPTIONS },
  },
  "a pppd on the server that says nothing": {
    setUp: pppd("exec cat >/dev/null"),
    ...{ code: 6, error: /server answers nothing/, hint: WAY_OUT },
  },
  "a pppd on the server that says garbage without end": {
    setUp: pppd("exec cat /dev/urandom"),
    ...{ code: 6, error: /pppd/, hint: WAY_OUT },
  },
  "a pppd on the server that says half a line": {
    setUp: pppd("printf 'Using interf' >&3; exec cat >/dev/null"),
    ...{ code: 6, error: /pppd/, hint: WAY_OUT },
  },
  "a connection that is lost half-way": {
    setUp: pppd("pkill -KILL -f 'sshd: root'"),
    ...{
      code: 5,
      error: /connection to "root@server" was lost/,
      hint: /ssh -v/,
    },
    logins: 1,
  },
};

/** Those of all types that depend on how ssh is run, and what it runs. */
const SHARED = ["a forced command", "a wrong key"];

failureTests(ppp, test, {
  ...PPP,
  ...Object.fromEntries(SHARED.map((name) => [name, FAILURES[name]!])),
});

async function works(lab: Lab): Promise<void> {
  await using _ = await ppp.up(lab, ["root@server", "10.88.0.0/24"]);
  assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
}

test("a server that permits no tunnels has nothing against ppp", async (lab) => {
  await lab.startSshd(["PermitTunnel no", "DisableForwarding yes"]);
  const restore = await keyOptions("restrict")(lab);
  await works(lab);
  await restore();
  await lab.startSshd();
});

test("options for other links of the same machines rule no tunnel", async (lab) => {
  const others = "auth\nrequire-chap\nlock\ncrtscts\nmodem\nproxyarp\n" +
    "defaultroute\nreplacedefaultroute\npersist\nidle 1\nmru 296\nmtu 296\n" +
    "asyncmap ffffffff\n10.55.0.1:10.55.0.2\nms-dns 10.55.0.3";
  const secrets = { text: "* * secret *\n" };
  const path = "/etc/ppp/chap-secrets";
  const restore = [];
  restore.push(await options("client", others)(lab));
  restore.push(await options("server", others)(lab));
  await works(lab);
  for (const undo of restore) await undo();
  restore.splice(0, Infinity, await instead("server", path, secrets)(lab));
  await works(lab);
  for (const undo of restore) await undo();
});
