/** Steps are shown on a terminal, and are out of ssh's way; else nothing is. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { Terminal } from "../lab/terminal.ts";
import { connect, said, suite } from "./helpers.ts";

const test = suite({ jump: false });

const visible = (text: string) => text.replaceAll("\x1b", "ESC");
const ARGS = "-t ssh-3 root@server 10.88.0.0/24";

test("connecting shows its steps in one line, and then only the result", async (lab) => {
  const at = (words: string) =>
    new Terminal(lab.client, `stty cols 80; TERM=xterm ${words} ${ARGS}`)
      .ended();
  const { code, shown } = await at(pvpnBinary());
  assertEquals(code, 0, shown);
  await pvpn(lab, ["-S"]);
  const lines = shown.trimEnd().split("\r\n");
  assertEquals(lines.length, 1, shown);
  const steps = visible(lines[0]!).split("\rESC[K").filter(Boolean);
  assertEquals(steps, [
    "pvpn: looking at this machine ...",
    "pvpn: connecting to root@server ...",
    "pvpn: setting up the end of root@server ...",
    "pvpn: setting up this end ...",
    "tun0 connected",
  ]);
  for (const words of [`${pvpnBinary()} -q`, `env TERM=dumb ${pvpnBinary()}`]) {
    assertEquals((await at(words)).shown, "tun0 connected\r\n");
    await pvpn(lab, ["-S"]);
  }
});

test("while ssh asks, the terminal is ssh's alone", async (lab) => {
  const { client } = lab;
  const known = `${client.home}/.ssh`;
  const setUp = `cp -pr "$0" "$0~"; : >"$0/known_hosts"
    sed -i 's/^StrictHostKeyChecking .*/StrictHostKeyChecking ask/' "$0/config"`;
  await client.ok(["sh", "-ec", setUp, known]);
  const terminal = new Terminal(
    client,
    `export TERM=xterm; exec ${pvpnBinary()} ${ARGS}`,
  );
  await terminal.sees(/continue connecting.*\? $/);
  const before = visible(terminal.shown);
  assertMatch(before, /\.\.\.\rESC\[K\r*The authenticity of host/);
  const asked = before.slice(before.indexOf("The authenticity"));
  assert(!/pvpn|ESC/.test(asked), asked);
  await terminal.type("no");
  const { code, shown } = await terminal.ended();
  assertEquals(code, 5);
  assertMatch(shown, /^pvpn: error: the host key of/m);
  assertMatch(shown, /^pvpn: hint: connect once by hand/m);
  await client.ok(["sh", "-ec", 'rm -r "$0"; mv "$0~" "$0"', known]);
});

test("no step is written to a pipe, and -q leaves errors and hints", async (lab) => {
  const args = ["-q", "root@server", "10.77.0.0/24"];
  const failed = await connect(lab, args);
  assertEquals(failed.code, 7);
  assertEquals(said(failed, "warning"), []);
  assert(said(failed, "error").length === 1 && said(failed, "hint").length > 0);
  const { stderr } = await connect(lab, ["root@server", "10.77.0.0/24"]);
  assert(!/\.\.\.|\r/.test(stderr), stderr);
});
