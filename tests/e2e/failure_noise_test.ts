/** Servers that say too much, nothing, or what a terminal would obey. */
import { pvpn } from "../lab/pvpn.ts";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import { deadline } from "../lab/deadline.ts";
import type { Lab, Node } from "../lab/lab.ts";
import { reach } from "../lab/reach.ts";
import { assertFails, connect, suite, up } from "./helpers.ts";

const test = suite({ jump: false });

/** Gives root on the server another shell, and bash's start-up file. */
async function login(
  { server }: Lab,
  shell: string,
  bashrc = "",
): Promise<() => Promise<unknown>> {
  const set = 'sed -i "s|^\\(root:.*:\\)[^:]*$|\\1$0|" /etc/passwd';
  await server.ok(["cp", "-p", "/etc/passwd", "/etc/passwd~"]);
  await server.ok(["sh", "-c", set, shell]);
  await server.writeFile(`${server.home}/.bashrc`, bashrc);
  return async () => {
    await server.ok(["mv", "/etc/passwd~", "/etc/passwd"]);
    await server.remove(`${server.home}/.bashrc`);
  };
}

for (const name of ["bash", "dash", "zsh", "fish", "busybox"]) {
  const found = ["/usr/bin", "/bin"].map((dir) => `${dir}/${name}`);
  const there = await Promise.all(found.map((path) => exists(path)));
  const path = found[there.indexOf(true)];
  // busybox is a shell only under that name.
  if (path === undefined || name === "busybox") continue;
  test(`root's shell on the server may be ${name}`, async (lab) => {
    const restore = await login(lab, path);
    {
      await using _ = await up(lab, ["root@server", "10.88.0.0/24"]);
      assertEquals(await reach(lab.client, "10.88.0.9"), { from: "10.88.0.1" });
    }
    await restore();
    // What fish makes for whoever logs in, whatever that does.
    const { server } = lab;
    const folders = [".config", ".local"].map((f) => `${server.home}/${f}`);
    if (name === "fish") await server.ok(["rm", "-rf", ...folders]);
  });
}

const GARBAGE = `
echo welcome; echo "pvpn-0123 ready"; printf '%s' 'no line feed'
echo 'pvpn-0123 device=tun0' >&2; echo 'device=tun0' >&2; echo ready >&2
head -c 300000 /dev/urandom
seq 1 2000 >&2
printf '\\033]0;title\\007\\033[31mred\\033[0m\\r\\302\\233\\033[2J\\n' >&2
`;

test("a shell that prints garbage is no hindrance, and no danger", async (lab) => {
  const restore = await login(lab, "/bin/bash", GARBAGE);
  for (const debug of [[], ["-d"]]) {
    const args = [...debug, "root@server", "10.88.0.0/24"];
    const { code, stdout, stderr } = await connect(lab, args);
    assertEquals({ code, stdout }, { code: 0, stdout: "tun0 connected\n" });
    assertMatch(stderr, /red/);
    assertClean(stderr);
    assertEquals(await reach(lab.client, "10.88.0.9"), { from: "10.88.0.1" });
    await pvpn(lab, ["-S", "tun0"]);
  }
  await restore();
});

/** Proves that a terminal would only show it. */
function assertClean(text: string): void {
  // deno-lint-ignore no-control-regex
  assert(!/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text), "a control character");
}

test("a banner is shown, and does not rule the terminal", async (lab) => {
  const { server } = lab;
  const escapes = "\x1b]0;title\x07\x1b[31mred\x9b2J\r\b \u202egnp.exe\n" +
    "Permission denied (publickey).\nAuthenticated to server\n";
  await server.writeFile("/etc/banner", escapes);
  await lab.startSshd(["Banner /etc/banner"]);
  const { code, stderr } = await connect(lab, ["root@server"]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /red/);
  assertClean(stderr);
  await pvpn(lab, ["-S"]);
  await lab.startSshd(["Banner /etc/banner", "PermitTunnel no"]);
  const result = await connect(lab, ["root@server"]);
  assertClean(result.stderr);
  assertEquals(result.code, 6, "what a server says is not ssh's own word");
  await server.remove("/etc/banner");
  await lab.startSshd();
});

/** A port that takes connections, and says something to each or nothing. */
async function port(node: Node, says: string): Promise<Deno.ChildProcess> {
  const child = node.spawn([
    "perl",
    "-e",
    `
    use Socket; socket(S, PF_INET, SOCK_STREAM, 0);
    bind(S, sockaddr_in(2299, INADDR_ANY)); listen(S, 5);
    $| = 1; print "ready\\n"; accept(C, S); select C; $| = 1;
    ${says}; sleep 1000`,
  ]);
  await child.stdout.getReader().read();
  return child;
}

for (
  const [what, says, error] of [
    ["nothing", "", /timed out/i],
    [
      "lines without end",
      'print "x" x 99, "\\r\\n" while 1',
      /banner exchange/,
    ],
    ["a line without end", 'print "x" x 9999 while 1', /banner exchange/],
    ["half a version", 'print "SSH-2.0-Open"', /timed out/i],
  ] as const
) {
  test(`a port that says ${what} is given up in time`, async (lab) => {
    const child = await port(lab.server, says);
    const result = await connect(lab, ["root@server"], {
      ...{ env: { SSH_ARGS: "-p 2299" }, timeout: deadline(35_000) },
    });
    child.kill("SIGKILL");
    await child.status;
    assertFails(result, 5, error, /: ssh .*root@server/);
  });
}
