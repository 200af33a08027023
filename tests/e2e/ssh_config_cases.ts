/**
 * What a user may have in ~/.ssh/config: it works, or the option is named.
 * Cases for all tunnel types; files of tests say for which.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { capture } from "../lab/capture.ts";
import { reach } from "../lab/reach.ts";
import {
  assertFails,
  type LabTest,
  SSH_PORT,
  type Typed,
  way,
} from "./helpers.ts";

/** The lab that the cases are for. */
export const LAB = { sshdConfig: ["Port 22", "Port 2222"] };

/** Does something with a tunnel type, in a lab, and proves that it is right. */
export type Case = (lab: Lab, type: Typed) => Promise<void>;

/** Has lines in front of the client's configuration while something is done. */
async function withConfig(
  { client }: Lab,
  lines: string,
  body: () => Promise<void>,
): Promise<void> {
  const path = `${client.home}/.ssh/config`;
  const text = await client.readFile(path);
  await client.writeFile(path, `${lines}\nHost *\n${text}`);
  await body();
  await client.writeFile(path, text);
}

/** Proves that a byte comes through, by one login, and then nothing is left. */
async function works(
  lab: Lab,
  { up }: Typed,
  { host = "root@server", routes = ["10.88.0.0/24"] } = {},
): Promise<void> {
  const logins = await lab.logins();
  await using _ = await up(lab, [host, ...routes]);
  assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
  assertEquals(await lab.logins(), logins + 1);
}

/** What ssh's options are set to; Match comes last, since it ends a Host. */
const HARMLESS = {
  "ClearAllForwardings yes": "ClearAllForwardings yes",
  "RequestTTY force": "RequestTTY force",
  "RemoteCommand": "RemoteCommand echo not this",
  "LocalCommand": "PermitLocalCommand yes\nLocalCommand touch /tmp/x",
  "Tunnel no": "Tunnel no",
  "Tunnel ethernet": "Tunnel ethernet\nTunnelDevice 7:7",
  "LogLevel QUIET": "LogLevel QUIET",
  "LocalForward on a free port": "LocalForward 5999 localhost:22",
  "anything else": `ForwardAgent yes
    ForwardX11 yes
    BatchMode yes
    ExitOnForwardFailure no
    EscapeChar x
    SetEnv A=b
    Compression yes
    AddressFamily inet
    CheckHostIP yes
    Ciphers aes256-ctr
    RemoteForward 5997 localhost:22
    DynamicForward 5998`,
  "Match exec": 'Match exec "test %h = server"\nUser root\nCompression yes',
  "Match exec that fails": 'Match exec "false"\nPort 9',
};

const cases: [string, Case][] = [];
const test = (name: string, body: Case) => void cases.push([name, body]);

/** Registers the cases for a tunnel type, or only those whose names match. */
export function sshConfigTests(
  type: Typed,
  test: LabTest,
  only = /^/,
): void {
  for (const [name, body] of cases) {
    if (only.test(name)) test(name, (lab) => body(lab, type));
  }
}

for (const [name, lines] of Object.entries(HARMLESS)) {
  test(
    `${name} in ssh_config is no hindrance`,
    (lab, type) =>
      withConfig(lab, `Host server\n${lines}`, () => works(lab, type)),
  );
}

test("all of these in one are no hindrance", (lab, type) => {
  const lines = Object.values(HARMLESS).join("\n");
  return withConfig(lab, `Host server\n${lines}`, () => works(lab, type));
});

test("a running ControlMaster is not asked to carry it", async (lab, type) => {
  const { client } = lab;
  const path = `${client.home}/.ssh/master`;
  const lines = `Host server\nControlMaster auto\nControlPath ${path}\n` +
    "ControlPersist 60";
  await withConfig(lab, lines, async () => {
    await client.ok(["ssh", "-fN", "root@server"]);
    await client.ok(["ssh", "-O", "check", "root@server"]);
    await works(lab, type);
    await client.ok(["ssh", "-O", "check", "root@server"]);
    await client.ok(["ssh", "-O", "exit", "root@server"]);
  });
  await withConfig(lab, lines, () => works(lab, type));
  await client.remove(path);
});

for (const option of ["LocalForward", "RemoteForward", "DynamicForward"]) {
  test(`${option} on a busy port is named`, async (lab, { connect }) => {
    const node = option === "RemoteForward" ? lab.server : lab.client;
    const script = "use Socket; socket(S, PF_INET, SOCK_STREAM, 0);" +
      "bind(S, sockaddr_in(5999, INADDR_LOOPBACK)) or die; listen(S, 1);" +
      '$| = 1; print "ready\\n"; sleep 1000';
    const child = node.spawn(["perl", "-e", script]);
    await child.stdout.getReader().read();
    const to = option === "DynamicForward" ? "" : " localhost:22";
    await withConfig(
      lab,
      `Host server\n${option} 127.0.0.1:5999${to}`,
      async () => {
        const result = await connect(lab, ["root@server", "10.88.0.0/24"]);
        assertFails(result, 5, new RegExp(option), /port is in use/);
      },
    );
    child.kill("SIGKILL");
    await child.status;
  });
}

const REFUSED = [
  ["SessionType", "none"],
  ["SessionType", "subsystem"],
  ["StdinNull", "yes"],
  ["ForkAfterAuthentication", "yes"],
] as const;

for (const [option, value] of REFUSED) {
  test(`${option} ${value} is refused, and named`, async (lab, { connect }) => {
    const logins = await lab.logins();
    await withConfig(lab, `Host server\n${option} ${value}`, async () => {
      const result = await connect(lab, ["root@server", "10.88.0.0/24"]);
      assertFails(result, 2, new RegExp(option, "i"), new RegExp(option, "i"));
    });
    assertEquals(await lab.logins(), logins);
  });
}

test("an option that ssh does not know is named", async (lab, { connect }) => {
  await withConfig(lab, "Nonsense yes", async () => {
    const result = await connect(lab, ["root@server", "10.88.0.0/24"]);
    assertFails(result, 2, /Bad configuration option: nonsense/i, /config/);
  });
});

test(
  "User, Port, HostName and IdentityFile of an alias are used",
  async (lab, type) => {
    const { client } = lab;
    const key = `${client.home}/.ssh/id_ed25519`;
    await client.ok(["cp", "-p", key, "/tmp/key"]);
    await client.ok(["mv", key, `${key}~`]);
    const lines = "Host work\nUser root\nHostName 10.77.0.1\nPort 2222\n" +
      "HostKeyAlias server\nIdentityFile /tmp/key\nIdentitiesOnly yes";
    await withConfig(lab, lines, async () => {
      await works(lab, type, { host: "work" });
      await works(lab, type, { host: "work", routes: ["default"] });
      await using _ = await type.up(lab, ["work", "10.0.0.0/8"]);
      const port = ["ipproto", "tcp", "dport", "2222"];
      assertEquals(await way(client, ADDRESS.server, ...port), "c0");
      assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    });
    await client.ok(["mv", `${key}~`, key]);
    await client.remove("/tmp/key");
  },
);

const JUMPS = {
  ProxyJump: "Host server\nProxyJump root@jump",
  ProxyCommand: "Host server\nProxyCommand ssh -W %h:%p root@jump",
};

for (const [option, lines] of Object.entries(JUMPS)) {
  for (const route of ["10.88.0.0/24", "default", "10.0.0.0/8"]) {
    const name = `${option}: beside ${route}, the jump host stays outside`;
    test(name, async (lab, { up }) => {
      const { client, server } = lab;
      const outside = await way(client, ADDRESS.jump, ...SSH_PORT);
      await withConfig(lab, lines, async () => {
        await using tunnel = await up(lab, ["root@server", route]);
        const { peer } = await tunnel.pair();
        const through = `${tunnel.device} via ${peer}`;
        assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
        assertEquals(await way(client, ADDRESS.inet), through);
        assertEquals(await way(client, ADDRESS.jump, ...SSH_PORT), outside);
        const rules = await client.ok(["ip", "rule"]);
        if (route === "10.88.0.0/24") assert(!/10\.77/.test(rules), rules);
        else assertMatch(rules, /to 10\.77\.1\.1 ipproto tcp dport 22 /);
        const sockets = await server.ok(["ss", "-Htn", "sport = :22"]);
        assertMatch(sockets, /10\.77\.2\.2/, "not by the jump");
        const link = await capture(client, "c0", ["tcp"]);
        assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
        assertEquals(await link.stop(), []);
      });
    });
  }
}

test(
  "SSH_ARGS with quotes reaches ssh as a shell would give it",
  async (lab, { up }) => {
    const { client } = lab;
    const folder = "/tmp/a folder";
    await client.ok(["mkdir", folder]);
    await client.ok(["cp", `${client.home}/.ssh/config`, `${folder}/it's`]);
    const env = { SSH_ARGS: `-F "${folder}/it's" -o 'User root' -p\\ 22 -4` };
    await using _ = await up(lab, ["server", "10.88.0.0/24"], { env });
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    await client.remove(folder);
  },
);

for (const host of [ADDRESS.server6, ADDRESS.serverInside6]) {
  test(
    `ssh over IPv6 to ${host} stays outside; other IPv6 does not`,
    async (lab, { up }) => {
      const { client } = lab;
      const env = { SSH_ARGS: "-o HostKeyAlias=server" };
      const outside = await way(client, host);
      await using tunnel = await up(lab, [`root@${host}`, "default"], { env });
      const { peer } = await tunnel.pair();
      assertEquals(await reach(client, ADDRESS.public), { from: "10.88.0.1" });
      assertEquals(
        await way(client, ADDRESS.public),
        `${tunnel.device} via ${peer}`,
      );
      assertEquals(await way(client, host, ...SSH_PORT), outside);
      for (const address of [ADDRESS.public6, ADDRESS.inet6]) {
        assertEquals((await reach(client, address)).from, "fd88::1");
      }
      if (host === ADDRESS.serverInside6) {
        const there = await way(client, host);
        assertEquals(there.split(" ")[0], tunnel.device);
      }
    },
  );
}
