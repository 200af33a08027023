import { assertEquals } from "@std/assert";
import type { Log } from "../../lib/log.ts";
import {
  cannotRepeat,
  type Login,
  readLogin,
  warnOfOnce,
} from "../../lib/login.ts";
import { query, withRunner } from "./fake_runner.ts";

const USER = {
  ...{ name: "alice", uid: 1000, gid: 1000 },
  ...{ home: "/home/alice", shell: "" },
};

const read = (...lines: string[]) =>
  lines.reduce((login: Login, line) => readLogin(login, line), {});

Deno.test("readLogin() reads what OpenSSH says of a login", () => {
  const login = read(
    "debug1: identity file /home/a b/.ssh/id type 3",
    "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1",
    "debug1: Server accepts key: /home/a b/.ssh/id ED25519 SHA256:x explicit",
    "debug1: identity file /etc/shadow type 3",
    "debug1: Remote: /root/.ssh/authorized_keys:1: key options: command pty",
    'Authenticated to h ([192.0.2.1]:22) using "publickey".',
    "debug1: nothing of the kind",
  );
  assertEquals(login, {
    ...{ software: "OpenSSH_9.2p1", method: "publickey" },
    ...{ key: "/home/a b/.ssh/id", agent: false },
    identities: ["/home/a b/.ssh/id"],
    allowed: ["command", "pty"],
  });
  const agents = "debug1: Server accepts key: me@h RSA SHA256:x agent";
  assertEquals(read(agents), { key: "me@h", agent: true });
  const restricted = "debug1: Remote: /k:2: key options:";
  assertEquals(read(restricted), { allowed: [] });
});

Deno.test("cannotRepeat() knows what had to be typed", async () => {
  for (const method of ["password", "keyboard-interactive"]) {
    await withRunner([], async (runner) => {
      assertEquals(await cannotRepeat({ method }, "root@h", USER, runner), {
        what: "a password",
        fix: ["ssh-copy-id root@h"],
      });
    });
  }
  const method = "publickey";
  const others: Login[] = [
    ...[{}, { method: "gssapi-with-mic" }, { method, key: "a name" }],
    { method, key: "/k", agent: true, identities: ["/k"] },
    { method, key: "/k", identities: ["/other"] },
    { method, key: "/k.pub", identities: ["/k.pub"] },
  ];
  for (const login of others) {
    await withRunner([], async (runner) => {
      assertEquals(await cannotRepeat(login, "h", USER, runner), undefined);
    });
  }
});

Deno.test("cannotRepeat() tries a key file without a passphrase", async () => {
  const login = { method: "publickey", key: "/k", identities: ["/k"] };
  const tries = ["sh", "-c", /ssh-keygen -y -P "" -f "\$1"$/, "pvpn", "/k"];
  for (const status of [0, 127]) {
    await withRunner([query(tries, { status })], async (runner) => {
      assertEquals(
        await cannotRepeat(login, "h", undefined, runner),
        undefined,
      );
    });
  }
  await withRunner([query(tries, { status: 255 })], async (runner) => {
    assertEquals(await cannotRepeat(login, "h", undefined, runner), {
      ...{ what: "the passphrase of /k", fix: ["ssh-add /k"] },
    });
  });
  const hers = [
    ...[
      "setpriv",
      /^--reuid=/,
      /^--regid=/,
      "--init-groups",
      "--inh-caps=-all",
    ],
    ...["env", /^HOME=/, /^LOGNAME=/, /^USER=/, /^SHELL=/, ...tries],
  ];
  await withRunner([query(hers, { status: 255 })], async (runner) => {
    const once = await cannotRepeat(login, "h", USER, runner);
    assertEquals(once?.fix, [
      "ssh-add /k",
      "sudo --preserve-env=SSH_AUTH_SOCK pvpn ...",
    ]);
  });
});

Deno.test("warnOfOnce() warns once, and says what to type", () => {
  const said: string[] = [];
  const log = {
    warn: (text: string) => said.push(`warning: ${text}`),
    hint: (text: string) => said.push(`hint: ${text}`),
  } as unknown as Log;
  warnOfOnce({ what: "a password", fix: ["ssh-copy-id root@h"] }, log);
  assertEquals(said, [
    "warning: when its connection is lost, the tunnel cannot come back by " +
    "itself: nobody types a password then",
    "hint: before the next time: ssh-copy-id root@h",
  ]);
});
