/** An ordinary user types sudo: ssh, and all that it runs, is that user's. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import {
  ALICE,
  asAlice,
  credentials,
  homeOf,
  sudoArgv,
  sudoPvpn,
  Terminal,
} from "../lab/user.ts";
import { assertFails, SSH_3, suite } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ openTun: true, user: true });

const ROUTE = "10.88.0.0/24";
const ARGS = [...SSH_3, "root@server", ROUTE];
const UIDS = Array(4).fill(`${ALICE.uid}`).join(" ");
const NO_CAPABILITIES = Array(4).fill("0".repeat(16)).join(" ");
const PING = ["ping", "-c1", "-W1", "-n", ADDRESS.inet];

/** Has a file of hers say something while something is done. */
async function withFile(
  { client }: Lab,
  name: string,
  change: (text: string) => string,
  body: () => Promise<void>,
): Promise<void> {
  const path = `${homeOf(client)}/.ssh/${name}`;
  const text = await client.readFile(path);
  await client.writeFile(path, change(text));
  await body();
  await client.writeFile(path, text);
}

/** The ssh processes of the client, each with who it is. */
async function sshs({ client }: Lab) {
  const all = await client.processes();
  const found = all.filter(({ comm }) => comm === "ssh");
  return await Promise.all(found.map(async ({ pid }) => ({
    pid,
    ...await credentials(client, pid),
  })));
}

/** Proves that nobody but her has a connection to an sshd. */
async function assertHers(lab: Lab, count: number): Promise<number[]> {
  const found = await sshs(lab);
  assertEquals(found.length, count);
  const groups = await lab.client.ok(["id", "-G", ALICE.name]);
  for (const process of found) {
    assertEquals(process.uids, UIDS);
    assertEquals(process.capabilities, NO_CAPABILITIES);
    assertEquals(
      process.groups.split(" ").sort(),
      groups.trim().split(" ").sort(),
    );
  }
  const argv = ["ss", "-Htne", "dport = :22"];
  const sockets = (await lab.client.ok(argv)).trim().split("\n");
  for (const line of sockets) assertMatch(line, new RegExp(`uid:${ALICE.uid}`));
  return found.map(({ pid }) => pid);
}

async function sudo(lab: Lab, args: readonly string[], words: string[] = []) {
  const { code, stdout, stderr } = await sudoPvpn(lab, args, { words });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

test("under sudo, ssh and what its configuration runs are the user's", async (lab) => {
  const { client } = lab;
  const home = homeOf(client);
  const say = (name: string) => `id -u >>${home}/${name}`;
  const config = `Match originalhost server exec "${say("match")}"
    ProxyCommand sh -c '${say("proxy")}; exec ssh -W %h:%p root@jump'
  Match all\n`;
  const ran = async (name: string) => {
    const path = `${home}/${name}`;
    const { uid } = await Deno.stat(path);
    assertEquals(uid, ALICE.uid);
    const text = await client.readFile(path);
    await client.remove(path);
    return text.trim().split("\n");
  };
  const me = `${ALICE.uid}`;
  await withFile(lab, "config", (text) => config + text, async () => {
    assertEquals(await sudo(lab, ARGS), "tun0 connected\n");
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    // ssh -G, and the session; the jump host's ssh does not match.
    assertEquals(await ran("match"), [me, me]);
    assertEquals(await ran("proxy"), [me]);
    const owner = await client.readFile("/sys/class/net/tun0/owner");
    assertEquals(owner.trim(), me);
    // What reconnects has nothing of sudo's in its environment.
    for (let death = 0; death < 2; death++) {
      for (const pid of await assertHers(lab, 2)) {
        await client.kill(pid, "SIGKILL");
      }
      await eventually(client, PING, 15_000);
      assertEquals(await ran("match"), [me, me]);
      assertEquals(await ran("proxy"), [me]);
    }
    await assertHers(lab, 2);
    assertEquals(await sudo(lab, ["-S"]), "tun0 disconnected\n");
  });
});

test("nothing of root's is in what the user's ssh gets", async (lab) => {
  const { client } = lab;
  const path = `${homeOf(client)}/environment`;
  const config = `Match originalhost server exec "env >${path}"\nMatch all\n`;
  await withFile(lab, "config", (text) => config + text, async () => {
    await sudo(lab, ARGS, ["EVIL=x", "LD_PRELOAD=", "SSH_ARGS=-C"]);
    await sudo(lab, ["-S"]);
  });
  const env = (await client.readFile(path)).trim().split("\n").sort();
  await client.remove(path);
  const names = env.map((line) => line.split("=")[0]);
  for (
    const line of [`HOME=${homeOf(client)}`, "USER=alice", "LOGNAME=alice"]
  ) {
    assert(env.includes(line), `${line}: ${env}`);
  }
  for (const name of ["EVIL", "LD_PRELOAD", "SSH_ARGS", "SUDO_USER"]) {
    assert(!names.includes(name), name);
  }
});

test("known_hosts is the user's, and stays so", async (lab) => {
  const { client } = lab;
  const ssh = `${homeOf(client)}/.ssh`;
  const known = await client.readFile(`${ssh}/known_hosts`);
  await client.remove(`${ssh}/known_hosts`);
  const accept = () => "StrictHostKeyChecking accept-new\n";
  await withFile(lab, "config", accept, async () => {
    const { code, stderr } = await sudoPvpn(lab, ARGS);
    assertEquals(code, 0, stderr);
    await sudo(lab, ["-S"]);
  });
  assertEquals((await Deno.stat(`${ssh}/known_hosts`)).uid, ALICE.uid);
  await client.writeFile(`${ssh}/known_hosts`, known);
});

test("an agent needs a word to sudo, and is kept for reconnecting", async (lab) => {
  const { client } = lab;
  const ssh = `${homeOf(client)}/.ssh`;
  const socket = `${homeOf(client)}/agent`;
  const agent = client.spawn(
    asAlice(client, ["ssh-agent", "-D", "-a", socket]),
  );
  const env = { SSH_AUTH_SOCK: socket };
  const add = asAlice(client, ["ssh-add", "-q", `${ssh}/id_ed25519`]);
  while ((await client.run(add, { env })).code !== 0);
  await client.ok(["mv", `${ssh}/id_ed25519`, `${ssh}/key`]);
  assertFails(
    await sudoPvpn(lab, ARGS, { env }),
    5,
    /refused the login/,
    /"alice", without an agent: .*sudo --preserve-env=SSH_AUTH_SOCK pvpn/,
  );
  const words = ["--preserve-env=SSH_AUTH_SOCK"];
  const { code, stderr } = await sudoPvpn(lab, ARGS, { env, words });
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const [pid = 0] = await assertHers(lab, 1);
  await client.kill(pid, "SIGKILL");
  await eventually(client, PING, 15_000);
  await assertHers(lab, 1);
  await sudo(lab, ["-S"]);
  await client.ok(["mv", `${ssh}/key`, `${ssh}/id_ed25519`]);
  agent.kill("SIGTERM");
  await agent.output();
});

test("a passphrase is typed on the terminal, and sudo's end is no hang-up", async (lab) => {
  const { client } = lab;
  const key = `${homeOf(client)}/.ssh/id_ed25519`;
  const locked = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "a word", "-f"];
  await client.ok(["cp", "-p", key, `${key}~`]);
  await client.ok(asAlice(client, [...locked, key]));
  const terminal = new Terminal(client, sudoArgv(ARGS));
  await terminal.find(/Enter passphrase for key/);
  await terminal.type("a word");
  assertEquals(await terminal.ended(), 0, terminal.shown);
  assertMatch(terminal.shown, /tun0 connected/);
  await assertHers(lab, 1);
  assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
  await sudo(lab, ["-S"]);
  await client.ok(["mv", `${key}~`, key]);
});

test("a user who may not open /dev/net/tun is told what to do", async (lab) => {
  const { client } = lab;
  await client.ok(["chmod", "600", "/dev/net/tun"]);
  const result = await sudoPvpn(lab, ARGS);
  assertFails(
    result,
    4,
    /needs \/dev\/net\/tun .*user/,
    /chmod 666 .*--ssh-user/,
  );
  const hint = /chmod 666 (\S+),/.exec(result.stderr)?.[1] ?? "";
  await client.ok(["chown", `${ALICE.uid}`, hint]); // hers is enough
  await sudo(lab, ARGS);
  await sudo(lab, ["-S"]);
  await client.ok(["chown", "0", hint]);
  // As root it works; root's own configuration is then what counts.
  const ssh = `${homeOf(client)}/.ssh`;
  const words = [
    `SSH_ARGS=-i ${lab.dir}/id -o UserKnownHostsFile=${ssh}/known_hosts`,
  ];
  await sudo(lab, ["--ssh-user", "root", ...ARGS], words);
  const [process] = await sshs(lab);
  assertEquals(process?.uids, "0 0 0 0");
  await sudo(lab, ["-S"]);
  await client.ok(["chmod", "666", "/dev/net/tun"]);
});

test("--ssh-user chooses, where nobody typed sudo", async (lab) => {
  const { code, stderr } = await pvpn(lab, ["--ssh-user=alice", ...ARGS]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  await assertHers(lab, 1);
  await pvpn(lab, ["-S"]);
  // Without, it is root, who has no key here.
  assertFails(await pvpn(lab, ARGS), 5, /host key|login/);
});

test("a caller or a user who cannot be is refused before anything is run", async (lab) => {
  const run = (env: Record<string, string>, ...args: string[]) =>
    pvpn(lab, [...args, ...ARGS], { env });
  const hint = /--ssh-user root/;
  for (const name of ["$(touch /tmp/x)", "nobody-here", "-h", "a b", ""]) {
    assertFails(await run({ SUDO_USER: name }), 2, /SUDO_USER is "/, hint);
  }
  const other = { SUDO_USER: ALICE.name, SUDO_UID: "1" };
  assertFails(await run(other), 2, /but SUDO_UID is "1"/, hint);
  assertFails(await run({ DOAS_USER: "nobody-here" }), 2, /DOAS_USER/, hint);
  assertFails(await run({}, "--ssh-user=nobody-here"), 2, /no user "nobody-h/);
  assertFails(await run({}, "--ssh-user=$(id)"), 2, /cannot be a user's name/);
});

test("-n prints what runs as whom, and it can be pasted", async (lab) => {
  const stdout = await sudo(lab, ["-n", ...ARGS]);
  assertMatch(stdout, /^tuntap add dev tun0 mode tun user 4242$/m);
  assertMatch(
    stdout,
    /^setpriv --reuid=4242 --regid=4242 --init-groups \S+ env HOME=\S+alice LOGNAME=alice USER=alice SHELL=\/bin\/sh ssh -T .* -- root@server /m,
  );
  // Whoever is not root runs ssh -G as itself, for itself.
  const { client } = lab;
  await client.ok(["cp", pvpnBinary(), "/tmp/pvpn"]);
  const own = await client.ok(asAlice(client, ["/tmp/pvpn", "-n", ...ARGS]));
  await client.remove("/tmp/pvpn");
  assertMatch(own, /^tuntap add dev tun0 mode tun user 4242$/m);
  assertMatch(own, /^ssh -T .* -- root@server /m);
});
