/** What is typed at a terminal: a passphrase, a yes, and a ^C that comes late. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import { Terminal } from "../lab/terminal.ts";
import { type LabTest, Tunnel, type Typed } from "./helpers.ts";

const PASSPHRASE = "not a word";

/** Gives the client's key a passphrase, and has it know no server. */
async function beStranger({ client }: Lab): Promise<() => Promise<unknown>> {
  const script = `cp -pr .ssh .ssh~; cd .ssh; : >known_hosts
    sed -i 's/^StrictHostKeyChecking .*/StrictHostKeyChecking ask/' config
    ssh-keygen -q -p -a 1 -P "" -N "$0" -f id_ed25519 >/dev/null`;
  const at = { cwd: client.home };
  await client.ok(["sh", "-ec", script, PASSPHRASE], at);
  const restore = "rm -r .ssh; mv .ssh~ .ssh";
  return () => client.ok(["sh", "-ec", restore], at);
}

/** A host key and a passphrase are asked for; resolves when it is connected. */
async function connectAt(lab: Lab, type: string): Promise<Tunnel> {
  const command = `exec ${pvpnBinary()} -t ${type} root@server 10.88.0.0/24`;
  const terminal = new Terminal(lab.client, command);
  await terminal.sees(/Are you sure you want to continue connecting.*\? $/);
  await terminal.type("yes");
  await terminal.sees(/Enter passphrase for key '.*id_ed25519': $/);
  assert(!/connected/.test(terminal.shown), terminal.shown);
  await terminal.type(PASSPHRASE);
  const { code, shown } = await terminal.ended();
  assertEquals(code, 0, shown);
  assert(!shown.includes(PASSPHRASE), "the passphrase is shown");
  assertMatch(shown, /^(?:ppp|tun)0 connected\r\n$/m);
  assertMatch(shown, /^pvpn: warning: .* nobody types the passphrase of /m);
  assertMatch(shown, /^pvpn: hint: before the next time: ssh-add /m);
  return new Tunnel(lab, /(\w+) connected/.exec(shown)![1]!);
}

/** Sends a signal as the terminal would: to the group that it was started in. */
async function signalGroup({ client }: Lab, signal: string): Promise<void> {
  const keeper = (await client.processes()).find(({ args }) =>
    args.includes("pvpn-keeper")
  );
  assert(keeper, "there is no keeper");
  const stat = await client.readFile(`/proc/${keeper.pid}/stat`);
  const group = stat.split(") ")[1]!.split(" ")[2]!;
  await client.ok(["sh", "-c", 'kill -s "$0" -- "-$1"', signal, group]);
}

/** Runs them for one type. */
export function terminalTests({ type }: Typed, test: LabTest): void {
  test(`${type}: a passphrase and a yes to a host key can be typed`, async (lab) => {
    const { client } = lab;
    const restore = await beStranger(lab);
    const logins = await lab.logins();
    const tunnel = await connectAt(lab, type);
    // The terminal has gone, which sends SIGHUP, and others may come: who
    // cannot ask for the passphrase must not have to.
    for (const signal of ["INT", "HUP", "QUIT"]) await signalGroup(lab, signal);
    const { peer } = await tunnel.pair();
    const pings = ["ping", "-q", "-n", "-c", "15", "-i", "0.2", peer];
    assertMatch(await client.ok(pings), / 15 received/);
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    assertEquals(await lab.logins(), logins + 1);
    assertMatch((await pvpn(lab, ["-l"])).stdout, / up /);
    await tunnel.stop();
    await restore();
  });
}
