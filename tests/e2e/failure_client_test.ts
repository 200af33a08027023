/** What this machine lacks: rights, programs, devices, its own state. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import type { RunResult } from "../lab/node.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { assertFails, SSH_3, suite, unchanged, up } from "./helpers.ts";

const test = suite({ jump: false });

const ROUTED = [...SSH_3, "root@server", "10.88.0.0/24"];

test("a user who is not root is told to use sudo", async (lab) => {
  const user = ["setpriv", "--reuid=65534", "--clear-groups", pvpnBinary()];
  for (const args of [ROUTED, ["-S"], ["-S", "tun0"], ["-l"]]) {
    const result = await lab.client.run([...user, ...args]);
    assertFails(result, 3, /only root/, /sudo/);
  }
  assertEquals((await lab.client.run([...user, "-h"])).code, 0);
});

/** The programs that the client's PATH has. */
const PROGRAMS = ["ip", "ssh", "sh", "ss", "getent"];

for (const missing of PROGRAMS) {
  if (missing === "sh") continue; // of which POSIX says that it is there
  if (missing === "getent") continue; // which a dry run and -s want only
  test(`a client without ${missing} is told so`, async (lab) => {
    const { client } = lab;
    const bin = "/tmp/bin";
    const present = PROGRAMS.filter((name) => name !== missing);
    const script =
      'mkdir "$0"; for p; do ln -s "$(command -v "$p")" "$0"; done';
    await client.ok(["sh", "-c", script, bin, ...present]);
    const argv = ["env", `PATH=${bin}`, pvpnBinary(), ...ROUTED];
    const result = await client.run(argv);
    await client.remove(bin);
    const name = new RegExp(`"${missing}" is not installed on this machine`);
    const hint = missing === "ssh" ? /openssh-client/ : /iproute2/;
    assertFails(result, 4, name, hint);
  });
}

test("a program that may not be run is named, not shown as a script", async (lab) => {
  const script = 'touch /tmp/no; mount --bind /tmp/no "$(command -v ip)"';
  const path = (await lab.client.ok(["sh", "-c", "command -v ip"])).trim();
  await lab.client.ok(["sh", "-c", script]);
  const result = await pvpn(lab, ROUTED);
  await lab.client.ok(["umount", path]);
  await lab.client.remove("/tmp/no");
  assertFails(result, 4, /"ip"/);
  assert(result.stderr.split("\n").length < 5, result.stderr);
});

test("a client without /dev/net/tun is told so", async (lab) => {
  await lab.client.ok(["mount", "-t", "tmpfs", "none", "/dev/net"]);
  const result = await pvpn(lab, ROUTED);
  await lab.client.ok(["umount", "/dev/net"]);
  assertFails(result, 4, /\/dev\/net\/tun/, /modprobe tun/);
});

test("no variable of the caller's is needed but PATH", async (lab) => {
  const { client } = lab;
  const argv = ["env", "-i", `HOME=${client.home}`, "PATH=/usr/bin:/usr/sbin"];
  const { code, stderr } = await client.run([...argv, pvpnBinary(), ...ROUTED]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals((await pvpn(lab, ["-S"])).code, 0);
});

/** Puts something where the state is kept, while something is done. */
async function withState(
  { client }: Lab,
  script: string,
  body: () => Promise<RunResult>,
): Promise<RunResult> {
  await client.ok(["sh", "-euc", script]);
  const files = "find /run/pvpn -ls; " +
    "find /run/pvpn -type f -size -1M -exec sha256sum {} +";
  const look = () => client.ok(["sh", "-c", files]);
  const before = await look();
  const result = await body();
  assertEquals(await look(), before);
  await client.remove("/run/pvpn");
  return result;
}

const FOLDERS = {
  "that others can read": "mkdir -m 755 /run/pvpn",
  "that others can write": "mkdir -m 777 /run/pvpn",
  "of another user": "mkdir -m 700 /run/pvpn; chown 65534 /run/pvpn",
  "that is a file": "touch /run/pvpn",
  "that is a link": "mkdir -m 700 /run/x; ln -s x /run/pvpn",
};

for (const [what, script] of Object.entries(FOLDERS)) {
  test(`a state folder ${what} is refused`, async (lab) => {
    for (const args of [ROUTED, ["-l"], ["-S"], ["-S", "tun0"]]) {
      const result = await withState(lab, script, () => pvpn(lab, args));
      assertFails(
        result,
        9,
        /\/run\/pvpn is not a folder of root's/,
        /look at/,
      );
      await lab.client.remove("/run/x");
    }
  });
}

const STATES: Readonly<Record<string, readonly [string, RegExp]>> = {
  "that is empty": [": >$f", /is not JSON/],
  "that is cut off": [
    'printf \'{"version":1,"device":"tun0",\' >$f',
    /is not JSON/,
  ],
  "of random bytes": ["head -c 4096 /dev/urandom >$f", /is not JSON/],
  "that is no object": ["echo null >$f", /is not an object/],
  "of another version": [
    'echo "{\\"version\\":99}" >$f',
    /by another version of pvpn/,
  ],
  "that is a folder": ["mkdir $f", /is not in a file/],
  "that is a pipe": ["mkfifo $f", /is not in a file/],
  "that is a link": ["echo {} >$f.x; ln -s tun0.json.x $f", /is not in a file/],
  "without end": ["truncate -s 1T $f", /has over 1048576 bytes/],
  "of another user's": ["echo {} >$f; chown 65534 $f", /others than root/],
  "that others can write": ["echo {} >$f; chmod 666 $f", /others than root/],
};

for (const [what, [script, why]] of Object.entries(STATES)) {
  test(`a state file ${what} is named, and left alone`, async (lab) => {
    const make = `mkdir -m 700 /run/pvpn; f=/run/pvpn/tun0.json; ${script}`;
    for (const args of [ROUTED, ["-l"], ["-S"], ["-S", "tun0"]]) {
      const result = await withState(lab, make, () => pvpn(lab, args));
      assertFails(result, 9, /the state of "tun0"/, /\/run\/pvpn\/tun0\.json/);
      assertMatch(result.stderr, why);
    }
  });
}

test("a state file of another tunnel's does not keep -S from the rest", async (lab) => {
  const { client } = lab;
  const tunnel = await up(lab, ["root@server", "10.88.0.0/24"]);
  await client.writeFile("/run/pvpn/tun7.json", "{}");
  const result = await pvpn(lab, ["-S"]);
  assertEquals(result.code, 9, result.stderr);
  assertEquals(result.stdout, `${tunnel.device} disconnected\n`);
  assertMatch(result.stderr, /the state of "tun7"/);
  await client.remove("/run/pvpn");
});

test("a state file that names other things undoes none of them", async (lab) => {
  const { client } = lab;
  const tunnel = await up(lab, ["root@server"]);
  const path = `/run/pvpn/${tunnel.device}.json`;
  const text = await client.readFile(path);
  const bad = [
    { kind: "ip", family: 4, object: "link", words: ["group", "default"] },
    { kind: "ip", family: 4, object: "addr", words: ["dev", "c0"] },
    { kind: "ip", family: 4, object: "route", words: ["default\nlink del c0"] },
    { kind: "process", pid: 1, start: "0" },
    { kind: "process", pid: -1, start: "0" },
    { kind: "sh", words: ["touch /tmp/x"] },
  ];
  for (const step of bad) {
    await client.writeFile(
      path,
      JSON.stringify({ ...JSON.parse(text), undo: [step] }),
    );
    const result = await unchanged(lab, () => pvpn(lab, ["-S", tunnel.device]));
    assertFails(
      result,
      9,
      /has a "undo" that makes no sense/,
      /rm \/run\/pvpn/,
    );
  }
  await client.writeFile(path, text);
  await tunnel.stop();
});
