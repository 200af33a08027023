/** What the options print, on which stream, and what `-n`, `-d`, `-f` do. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import {
  beside,
  connect,
  SSH_3,
  suite,
  Tunnel,
  unchanged,
  up,
} from "./helpers.ts";

const test = suite({ jump: false, openTun: true });

const NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"];
const ROUTED = [...SSH_3, "root@server", "10.88.0.0/24"];

test("-h and -v go to stdout, whoever asks", async (lab) => {
  for (const user of [[], NOBODY]) {
    const run = (...args: string[]) =>
      lab.client.run([...user, pvpnBinary(), ...args]);
    for (const args of [["-h"], ["--help"], ["-h", ...ROUTED]]) {
      const { code, stdout, stderr } = await run(...args);
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
      assertMatch(stdout, /^Usage: pvpn .*\n/);
      assertMatch(stdout, /-S, --stop \[DEVICE\]/);
    }
    const { code, stdout, stderr } = await run("-v");
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assertMatch(stdout, /^pvpn \d+\.\d+\.\d+\S*\n$/);
  }
});

test("stdout has only that the tunnel is there, or is not", async (lab) => {
  const { code, stdout } = await connect(lab, ["-d", ...ROUTED.slice(2)]);
  assertEquals({ code, stdout }, { code: 0, stdout: "tun0 connected\n" });
  const stopped = await pvpn(lab, ["-d", "-S", "tun0"]);
  assertEquals(stopped.stdout, "tun0 disconnected\n");
});

test("-d shows what is run on both ends", async (lab) => {
  const { stderr } = await connect(lab, ["-d", "root@server", "10.88.0.0/24"]);
  await using tunnel = new Tunnel(lab, "tun0");
  const { local, peer } = await tunnel.pair();
  assertMatch(
    stderr,
    /^\+ ip -4 -batch - <<'END' {2}# \d+\.\d{3} s\ntuntap add dev tun0 /m,
  );
  assertMatch(
    stderr,
    new RegExp(`^address add ${local} peer ${peer} dev`, "m"),
  );
  assertMatch(stderr, new RegExp(`^route add 10.88.0.0/24 via ${peer} `, "m"));
  assertMatch(stderr, /^\+ server: /m);
  // As the server has expanded it; its lines may have come mixed up.
  assertMatch(stderr, new RegExp(`address add ${peer} peer ${local} dev`));
  assertMatch(stderr, /link set dev tun\d+ mtu 1500 up/);
  assertMatch(stderr, /^debug1: /m);
});

/** The here-documents and command lines that a dry run printed. */
function commands(text: string): string[] {
  return text.split(/^(?=ip -[46] |ssh |sh )/m);
}

async function pasted(lab: Lab, args: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await unchanged(
    lab,
    () => connect(lab, ["-n", ...args]),
  );
  assertEquals({ code, stderr: beside(stderr) }, { code: 0, stderr: "" });
  return commands(stdout);
}

test("-n changes nothing and asks nobody", async (lab) => {
  const log = await lab.sshdLog();
  const first = await pasted(lab, ["root@server", "default", "10.88.0.0/24"]);
  assert(first.length >= 4, first.join(""));
  assertEquals(await lab.sshdLog(), log);
  const argv = [...NOBODY, pvpnBinary(), "-n", ...ROUTED];
  const { code, stdout, stderr } = await lab.client.run(argv);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  // What sudo would do for who asks: ssh as that user.
  assertMatch(stdout, /^tuntap add dev tun0 mode tun user 65534$/m);
});

test("-n tells anybody what it would be beside other tunnels", async (lab) => {
  await using _ = await up(lab, ["root@server", "10.88.0.0/24"]);
  for (const user of [[], NOBODY]) {
    const argv = [...user, pvpnBinary(), ...SSH_3, "-n", "root@server"];
    const { code, stdout, stderr } = await lab.client.run(argv);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    const owner = user.length === 0 ? "0" : "65534";
    const line = new RegExp(
      `^tuntap add dev tun1 mode tun user ${owner}$`,
      "m",
    );
    assertMatch(stdout, line);
  }
});

test("what -n prints makes the tunnel when it is pasted", async (lab) => {
  const { client } = lab;
  const printed = await pasted(lab, [
    ...["-i", "10.9.9.1:10.9.9.2", "--mtu", "1400"],
    ...["root@server", "10.0.0.0/8", "default"],
  ]);
  const paste = (text: string) => client.ok(["sh", "-e"], { stdin: text });
  const [device, ssh, ...rest] = printed;
  await paste(device!);
  const session = client.spawn(["sh", "-c", ssh!], { stdin: "piped" });
  let said = "";
  const errors = session.stderr.pipeThrough(new TextDecoderStream())
    .getReader();
  while (!/^pvpn-\S+ ready$/m.test(said)) {
    const { value, done } = await errors.read();
    assert(!done, said);
    said += value;
  }
  for (const text of rest) await paste(text);
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
  assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
  await session.stdin.close();
  await session.status;
  await Promise.all([errors.cancel(), session.stdout.cancel()]);
  const undo = (text: string) =>
    text.split("\n").filter((line) => /^(route|rule) add/.test(line))
      .map((line) => line.replace("add", "delete") + "\n").reverse().join("");
  for (const text of rest.toReversed()) {
    const family = text.slice(0, 5).split(" ")[1]!;
    await client.ok(["ip", family, "-batch", "-"], { stdin: undo(text) });
  }
  await client.ok(["ip", "link", "delete", "dev", "tun0"]);
});

/** Starts pvpn -f and waits until it says that it is connected. */
async function foreground(lab: Lab): Promise<{
  child: Deno.ChildProcess;
  stdout: ReadableStreamDefaultReader<string>;
}> {
  const child = lab.client.spawn([pvpnBinary(), "-f", ...ROUTED]);
  const stdout = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await stdout.read();
  assertEquals(value, "tun0 connected\n");
  return { child, stdout };
}

for (
  const [signal, status] of [
    ["SIGTERM", 0],
    ["SIGHUP", 0],
    ["SIGINT", 130],
  ] as const
) {
  test(`-f stays until ${signal}, and ends with ${status}`, async (lab) => {
    await unchanged(lab, async () => {
      const { child, stdout } = await foreground(lab);
      assertEquals(await reach(lab.client, ADDRESS.inet), {
        from: "10.88.0.1",
      });
      const list = await pvpn(lab, ["-l"]);
      assertMatch(list.stdout, /^tun0 .* up .*\n +routes 10\.88\.0\.0\/24$/m);
      child.kill(signal);
      const stderr = await new Response(child.stderr).text();
      assertEquals((await child.status).code, status, stderr);
      assert(!/ {4}at |bug/.test(stderr), stderr);
      await stdout.cancel();
    });
  });
}

test("-S ends a pvpn that is in the foreground", async (lab) => {
  const { child, stdout } = await foreground(lab);
  const { code, stdout: said } = await pvpn(lab, ["-S", "tun0"]);
  assertEquals({ code, said }, { code: 0, said: "tun0 disconnected\n" });
  assertEquals((await child.status).code, 0);
  await Promise.all([stdout.cancel(), child.stderr.cancel()]);
});

const STREAMS = {
  "that nobody reads": '"$@" 2>&1 | head -c 0',
  "that nobody reads, with -d": '"$@" -d 2>&1 | head -c 0',
  "that are closed": '"$@" <&- >&- 2>&-',
  "that are files": '"$@" >/tmp/out 2>&1; rm /tmp/out',
};

for (const [name, script] of Object.entries(STREAMS)) {
  test(`streams ${name} keep no tunnel from coming up`, async (lab) => {
    const argv = ["sh", "-c", script, "sh", pvpnBinary(), ...ROUTED];
    const { stderr } = await lab.client.run(argv, { timeout: 10_000 });
    assertEquals(stderr, "");
    await ready(lab);
    assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
    const stop = ["sh", "-c", script, "sh", pvpnBinary(), "-S", "tun0"];
    await lab.client.run(stop, { timeout: 10_000 });
    assertEquals((await pvpn(lab, ["-l"])).stdout.split("\n").length, 2);
  });
}

/** Waits for who is at work: behind `| head` the shell does not. */
async function ready(lab: Lab): Promise<void> {
  const lines = () => pvpn(lab, ["-l"]).then(({ stdout }) => stdout);
  for (let i = 0; i < 50 && !/ up /.test(await lines()); i++);
  assertMatch(await lines(), /^tun0 .* up /m);
}

test("a full disk behind stdout is an error, not a bug", async (lab) => {
  const script = '"$@" >/dev/full';
  const argv = ["sh", "-c", script, "sh", pvpnBinary(), ...ROUTED];
  const { stderr } = await unchanged(lab, async () => {
    const result = await lab.client.run(argv);
    if (result.code === 0) await pvpn(lab, ["-S"]);
    return result;
  });
  assert(!/this is a bug/.test(stderr), stderr);
});

test("a full disk behind stderr does not change the status", async (lab) => {
  const script = '"$@" 2>/dev/full';
  const args = [...SSH_3, "root@server", "10.77.0.0/24"];
  const argv = ["sh", "-c", script, "sh", pvpnBinary(), ...args];
  assertEquals((await lab.client.run(argv)).code, 7);
});
