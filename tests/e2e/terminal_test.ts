import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { Terminal } from "../lab/terminal.ts";
import { edit } from "./failure_cases.ts";
import { assertFails, suite, typed, way } from "./helpers.ts";
import { eventually } from "./running.ts";
import { terminalTests } from "./terminal_cases.ts";

const test = suite({ jump: false });

terminalTests(typed("ssh-3"), test);

const PASSWORD = "not a key";
const LOGIN = { SSH_ARGS: "-oPreferredAuthentications=password" };
const ARGS = ["-t", "ssh-3", "root@server", "10.88.0.0/24"];

/** Lets root log in with a password, and with nothing else. */
async function takePasswords(lab: Lab): Promise<() => Promise<void>> {
  const script = "print crypt($ARGV[0], q($6$lab$))";
  const hash = await lab.server.ok(["perl", "-e", script, PASSWORD]);
  const restore = await edit(
    lab.server,
    "/etc/shadow",
    (text) => text.replace(/^root:[^:]*/m, `root:${hash}`),
  );
  await lab.startSshd(["PasswordAuthentication yes"]);
  return async () => {
    await restore();
    await lab.startSshd();
  };
}

test("a password can be typed, but not again when the connection is lost", async (lab) => {
  const { client } = lab;
  const restore = await takePasswords(lab);
  assertFails(await pvpn(lab, ARGS, { env: LOGIN }), 5, /refused the login/);
  const command = `export SSH_ARGS=${LOGIN.SSH_ARGS}
    exec ${pvpnBinary()} ${ARGS.join(" ")}`;
  const terminal = new Terminal(client, command);
  await terminal.sees(/root@server's password: $/);
  await terminal.type(PASSWORD);
  const { code, shown } = await terminal.ended();
  assertEquals(code, 0, shown);
  assert(!shown.includes(PASSWORD), "the password is shown");
  assertMatch(
    shown,
    /^pvpn: warning: .* cannot come back by itself.*password/m,
  );
  assertMatch(shown, /^pvpn: hint: .*: ssh-copy-id root@server\r$/m);
  assertMatch(shown, /^tun0 connected\r$/m);
  await lab.startSshd(["PasswordAuthentication yes"]); // which ends the session
  const problem = `${pvpnBinary()} -l | grep -q 'refused the login'`;
  await eventually(client, ["sh", "-c", problem], 20_000);
  assertMatch(await way(client, "10.88.0.9"), /unreachable|tun0/);
  await pvpn(lab, ["-S"]);
  await restore();
});
