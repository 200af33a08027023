import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ExitCode, UsageError } from "../../lib/errors.ts";
import {
  asUser,
  callerOf,
  findUser,
  identity,
  isUser,
  loginHints,
  parsePasswd,
  parseUserName,
  type User,
} from "../../lib/user.ts";
import { query, withRunner } from "./fake_runner.ts";
import { Seeded } from "./fuzz.ts";
import { failureOf, system } from "./helpers.ts";

const ALICE: User = {
  ...{ name: "alice", uid: 1000, gid: 100 },
  ...{ home: "/home/alice", shell: "/bin/bash" },
};
const LINE = "alice:x:1000:100:Alice,,,:/home/alice:/bin/bash";
const ROOT = "root:x:0:0:root:/root:/bin/sh";

/** Answers as getent does; fails when it is not asked for these. */
const asking = (
  answers: Readonly<Record<string, string>>,
  ...args: [string | undefined, Parameters<typeof findUser>[1]]
) =>
  withRunner(
    Object.entries(answers).map(([name, stdout]) =>
      query(["getent", "passwd", name], {
        status: stdout ? 0 : 2,
        stdout: stdout + "\n",
      })
    ),
    (runner) => findUser(...args, runner),
  );

/** Runs as if this process had another user ID. */
async function withUid<T>(uid: number, act: () => Promise<T>): Promise<T> {
  const real = Object.getOwnPropertyDescriptor(Deno, "uid")!;
  Object.defineProperty(Deno, "uid", { ...real, value: () => uid });
  try {
    return await act();
  } finally {
    Object.defineProperty(Deno, "uid", real);
  }
}

Deno.test("parsePasswd() reads a line of passwd(5), and nothing else", () => {
  assertEquals(parsePasswd(LINE), ALICE);
  assertEquals(parsePasswd("a:*:1:2::/:")?.shell, "");
  assertEquals(parsePasswd("D\\a.b@c-d:x:1:2::/a b:/bin/sh")?.home, "/a b");
  for (
    const line of [
      ...["", "alice", ":x:1:2::/:", "-a:x:1:2::/:", "a b:x:1:2::/:"],
      ...["a:x::2::/:", "a:x:-1:2::/:", "a:x:1e3:2::/:", "a:x:1:::/:"],
      ...["a:x:4294967295:2::/:", "a:x:1:2:::", "a:x:1:2::home:"],
      ...["a:x:1:2::/\x1b[2J:", "a:x:1:2::/:sh", "a:x:1:2::/", LINE + ":x"],
    ]
  ) assertEquals(parsePasswd(line), undefined, line);
});

Deno.test("isUser() takes what is written down, and refuses the rest", () => {
  assert(isUser(JSON.parse(JSON.stringify(ALICE))));
  for (const key of Object.keys(ALICE)) {
    for (const value of [undefined, null, -1, 1.5, {}, [], true, "\n"]) {
      assert(!isUser({ ...ALICE, [key]: value }), `${key}: ${value}`);
    }
  }
  for (const value of [undefined, null, 1, "alice", [], [ALICE]]) {
    assert(!isUser(value));
  }
});

Deno.test("parseUserName() refuses what getent or a shell could misread", () => {
  const names = ["alice", "a-b.c", "_x", "1000", "D\\a", "a@d.example", "pc$"];
  for (const name of names) assertEquals(parseUserName(name), name);
  for (
    const name of [
      ...["", "-h", "--help", "a b", "a:b", "a\nb", "$(id)", "`id`", "a;b"],
      ...["../x", "a/b", "a\x00", "a".repeat(300), "h\u00f6"],
    ]
  ) assertThrows(() => parseUserName(name), UsageError, undefined, name);
});

Deno.test("callerOf() reads sudo's, doas' and pkexec's variables", () => {
  const of = (env: Record<string, string>) => callerOf((name) => env[name]);
  assertEquals(of({}), undefined);
  assertEquals(of({ USER: "x", LOGNAME: "x", SUDO_UID: "1" }), undefined);
  assertEquals(of({ SUDO_USER: "a", SUDO_UID: "1", DOAS_USER: "b" }), {
    ...{ variable: "SUDO_USER", user: "a", uid: "1" },
  });
  assertEquals(of({ SUDO_USER: "a" }), { variable: "SUDO_USER", user: "a" });
  assertEquals(of({ DOAS_USER: "b" }), { variable: "DOAS_USER", user: "b" });
  assertEquals(of({ PKEXEC_UID: "7" })?.user, "7");
});

const SUDO = { variable: "SUDO_USER", user: "alice", uid: "1000" };

Deno.test("findUser() finds the caller, or whom --ssh-user names", () =>
  withUid(0, async () => {
    assertEquals(await asking({}, undefined, undefined), undefined);
    assertEquals(await asking({ alice: LINE }, undefined, SUDO), ALICE);
    const { uid: _, ...doas } = SUDO;
    assertEquals(await asking({ alice: LINE }, undefined, doas), ALICE);
    assertEquals(await asking({ alice: LINE }, "alice", undefined), ALICE);
    // Its own user needs no change; also where sudo was typed by root.
    assertEquals(await asking({ root: ROOT }, "root", SUDO), undefined);
    const root = { variable: "SUDO_USER", user: "root", uid: "0" };
    assertEquals(await asking({ root: ROOT }, undefined, root), undefined);
  }));

Deno.test("findUser() refuses whom the machine does not know", () =>
  withUid(0, async () => {
    const fails = async (
      answers: Record<string, string>,
      named: string | undefined,
      caller: Parameters<typeof findUser>[1],
      message: RegExp,
    ) => {
      const error = await failureOf(() => asking(answers, named, caller));
      assertEquals(error.code, ExitCode.usage);
      assertMatch(error.message, message);
      assert(error.hints.length > 0);
    };
    await fails({ bob: "" }, "bob", undefined, /no user "bob"/);
    await fails({ bob: "bob:x:junk" }, "bob", undefined, /no user "bob"/);
    await fails({}, "$(id)", SUDO, /cannot be a user's name/);
    await fails({ alice: "" }, undefined, SUDO, /which is no user/);
    await fails(
      { alice: LINE },
      undefined,
      { ...SUDO, uid: "1001" },
      /SUDO_USER is "alice", but SUDO_UID is "1001"/,
    );
    for (const uid of ["", "01000", "1000 ", "-1", "$(id)"]) {
      await fails({ alice: LINE }, undefined, { ...SUDO, uid }, /SUDO_UID/);
    }
    for (const user of ["", "$(id)", "-h", "a\x1b[2Jb", "a b"]) {
      await fails({}, undefined, { ...SUDO, user }, /^SUDO_USER is "/);
    }
  }));

Deno.test("findUser() lets only root run ssh as somebody else", () =>
  withUid(1000, async () => {
    assertEquals(await asking({}, undefined, SUDO), undefined);
    assertEquals(await asking({ alice: LINE }, "alice", SUDO), undefined);
    const error = await failureOf(() => asking({ root: ROOT }, "root", SUDO));
    assertEquals(error.code, ExitCode.notRoot);
  }));

Deno.test("asUser() changes user and environment by exec alone", () => {
  assertEquals(asUser(ALICE, ["ssh", "-G", "h"]), [
    ...["setpriv", "--reuid=1000", "--regid=100", "--init-groups"],
    ...["--inh-caps=-all", "env", "HOME=/home/alice", "LOGNAME=alice"],
    ...["USER=alice", "SHELL=/bin/bash", "ssh", "-G", "h"],
  ]);
  assert(asUser({ ...ALICE, shell: "" }, []).includes("SHELL=/bin/sh"));
  assertEquals(asUser(undefined, ["ssh", "h"]), ["ssh", "h"]);
  assertEquals(identity(ALICE).uid, 1000);
  assertEquals(identity(undefined).uid, Deno.uid());
  assertEquals(identity(undefined).asUser(["true"]), ["true"]);
});

Deno.test({
  name: "asUser() gives up all of root's rights, for real",
  ignore: Deno.uid() !== 0,
  async fn() {
    const { stdout } = await system.query(["getent", "passwd", "nobody"]);
    const nobody = parsePasswd(stdout.trim());
    assert(nobody !== undefined);
    const script = 'echo "$PPID $HOME $USER $LOGNAME"; cat /proc/$$/status; ' +
      "setpriv --reuid=0 true 2>/dev/null || echo stays";
    const argv = asUser(nobody, ["sh", "-c", script]);
    const result = await system.query(argv);
    const [first, ...status] = result.stdout.split("\n");
    // One process that became another: no wrapper is between.
    assertEquals(first, `${Deno.pid} ${nobody.home} nobody nobody`);
    const id = String(nobody.uid);
    for (
      const [key, value] of [
        ["Uid", Array(4).fill(id).join("\t")],
        ["Gid", Array(4).fill(String(nobody.gid)).join("\t")],
        ...["Inh", "Prm", "Eff", "Amb"].map((set) => [
          `Cap${set}`,
          "0".repeat(16),
        ]),
      ]
    ) assert(status.includes(`${key}:\t${value}`), `${key}: ${status}`);
    assert(status.includes("stays"));
  },
});

Deno.test("asUser() hands every word on as it is", async () => {
  const seeded = new Seeded(5);
  const me = {
    ...ALICE,
    ...{ uid: Deno.uid()!, home: "/a b'c", shell: "/$x" },
  };
  for (let i = 0; i < 20; i++) {
    const words = Array.from(
      { length: 1 + seeded.below(3) },
      () => seeded.text(["a", "=", "-", "'", '"', "$x", " ", "\n", "\\"], 6),
    );
    // Its own IDs need no root.
    const argv = asUser(me, ["printf", "%s|", ...words]);
    const [, , , , , ...env] = argv;
    const { stdout } = await system.query(["env", ...env.slice(1)]);
    assertEquals(stdout, words.join("|") + "|");
  }
});

Deno.test("loginHints() tells how an agent comes through sudo", () => {
  const agent = Deno.env.get("SSH_AUTH_SOCK");
  try {
    Deno.env.delete("SSH_AUTH_SOCK");
    assertEquals(loginHints(undefined), []);
    assertMatch(
      loginHints(ALICE).join(),
      /"alice".*--preserve-env=SSH_AUTH_SOCK/,
    );
    Deno.env.set("SSH_AUTH_SOCK", "/agent");
    assertEquals(loginHints(ALICE), []);
  } finally {
    if (agent === undefined) Deno.env.delete("SSH_AUTH_SOCK");
    else Deno.env.set("SSH_AUTH_SOCK", agent);
  }
});
