import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatRoute } from "../../lib/address.ts";
import { type CommandLine, parseCommandLine } from "../../lib/command_line.ts";
import { ExitCode, UsageError } from "../../lib/errors.ts";
import { OPTIONS } from "../../lib/options.ts";
import { parseProfile, readProfile } from "../../lib/profile.ts";
import { withDir } from "./helpers.ts";
import { REQUEST } from "./sample_state.ts";

const PATH = "/etc/pvpn/work.conf";
const WORK = `
# The office.
host root@work
type ssh-3
  mtu = 1400
ssh-user=alice

route 192.168.0.0/16 10.1.0.0/16
route	10.2.0.0/16
ssh-args -p 2222 -i "my key"
ssh-args -4
foreground
`;

/** What a command line asks for, where `@work` says `text`. */
function request(text: string, args: string[], sshArgs?: string) {
  const { command }: CommandLine = parseCommandLine(args, sshArgs, (name) => {
    assertEquals(name, "work");
    return parseProfile(text, PATH);
  });
  assert(command.action === "connect");
  const { routes, ...rest } = command.request;
  return { ...rest, routes: routes.map(formatRoute) };
}

const refused = (text: string, ...args: string[]): UsageError =>
  assertThrows(() => request(text, ["@work", ...args]), UsageError);

Deno.test("a profile is a command line, one option a line", () => {
  assertEquals(request(WORK, ["@work"]), {
    ...REQUEST,
    ...{ type: "ssh-3", host: "root@work", mtu: 1400, sshUser: "alice" },
    sshArgs: ["-p", "2222", "-i", "my key", "-4"],
    routes: ["192.168.0.0/16", "10.1.0.0/16", "10.2.0.0/16"],
    foreground: true,
  });
  assertEquals(request("host h\r\nroute default\r\n", ["@work"]).routes, [
    "default",
  ]);
});

Deno.test("a profile takes every option of connecting", () => {
  const options = OPTIONS.filter(({ group }) => group === "connect");
  assert(options.length > 5);
  for (const { long, value } of options) {
    const line = value === undefined ? long : `${long} x`;
    const { args } = parseProfile(`${line}\nhost h`, PATH);
    const word = value === undefined ? `--${long}` : `--${long}=x`;
    assertEquals(args, [word, "--", "h"]);
  }
});

Deno.test("what is typed beside a profile wins, and routes are added", () => {
  const typed = ["--mtu=1300", "@work", "-t", "ppp", "10.9.0.0/16"];
  const got = request(WORK, typed, "-p 22");
  assertEquals([got.mtu, got.type, got.foreground], [1300, "ppp", true]);
  assertEquals(got.routes.at(-1), "10.9.0.0/16");
  assertEquals(got.routes.length, 4);
  const more = "host h\nexclude 10.1.0.0/16";
  const { exclude } = request(more, ["@work", "-x", "10.2.0.0/16"]);
  assertEquals(exclude.map(formatRoute), ["10.1.0.0/16", "10.2.0.0/16"]);
  // The first value wins in ssh.
  assertEquals(got.sshArgs.slice(0, 4), ["-p", "22", "-p", "2222"]);
  assertEquals(request("host h", ["-f", "@work"]).foreground, true);
});

Deno.test("a line that makes no sense is named with its number", () => {
  for (
    const [line, why] of [
      ["mut 1400", /"mut" is not an option of connecting/],
      ["--mtu 1400", /"--mtu" is not an option/],
      ["stop tun0", /"stop" is not an option/],
      ["reconnect tun0", /"reconnect" is not an option/],
      ["debug", /"debug" is not an option/],
      ["constructor x", /"constructor" is not an option/],
      ["mtu", /"mtu" lacks its value/],
      ["mtu =", /"mtu" lacks its value/],
      ["host", /"host" lacks its value/],
      ["foreground yes", /"foreground" takes no value/],
      ["= 1", /is not an option/],
      ["mtu 1\x1b[2J", /control character/],
      ["host h\0", /control character/],
    ] as const
  ) {
    const error = refused(`# one\n${line}\nhost h\n`);
    assertMatch(error.message, /^\/etc\/pvpn\/work\.conf, line 2: /);
    assertMatch(error.message, why);
    assertMatch(error.hints.join(), /without its --/);
  }
  for (const text of ["", "mtu 1400", "host a\nhost b"]) {
    assertMatch(refused(text).message, /has [02] lines that say host/);
  }
});

Deno.test("a value that makes no sense is told of the profile", () => {
  for (
    const [line, why] of [
      ["host h\nmtu 99", /--mtu 99 is neither a number/],
      ["host -h", /cannot start with "-"/],
      ["host a b", /not a host/],
      ["host @other", /"@other" is not a host/],
      ["host $(id)", /not a host/],
      ["host h\nroute 10.0.0.1/8", /10\.0\.0\.1\/8/],
      ["host h\nroute -S", /"-S"/],
      ["host h\nssh-args -N", /-N cannot be used/],
      ["host h\nssh-args 'x", /not closed/],
      ["host h\nssh-user $(id)", /cannot be a user/],
    ] as const
  ) {
    // Also where what is typed would hide it.
    for (const args of [[], ["--mtu=1400"]]) {
      const { message } = refused(line, ...args);
      assertMatch(message, /^\/etc\/pvpn\/work\.conf: /);
      assertMatch(message, why);
    }
  }
  // What is wrong on the command line is not.
  assertMatch(refused("host h", "--mtu=99").message, /^--mtu 99/);
});

Deno.test("only the first word can be a profile, and only to connect", () => {
  const never = () => {
    throw new Error("it was read");
  };
  for (const args of [["-S", "@work"], ["-l", "@work"], ["h", "@work"]]) {
    assertThrows(() => parseCommandLine(args, undefined, never), UsageError);
  }
  assertEquals(
    parseCommandLine(["-h", "@work"], undefined, never).command.action,
    "help",
  );
});

Deno.test("readProfile() refuses names that lead elsewhere", () => {
  for (const name of ["", "../x", "a/b", ".", "..", "-h", "a b", "a\n", "$x"]) {
    assertThrows(() => readProfile(name, "/nowhere"), UsageError, "no profile");
  }
});

Deno.test("readProfile() names the profiles that there are", () =>
  withDir(async (dir) => {
    const hint = (folder: string) =>
      assertThrows(() => readProfile("none", folder), UsageError).hints.join();
    assertMatch(hint(`${dir}/none`), /there is none in .*see pvpn\(8\)/);
    if (Deno.uid() !== 0) return;
    assertMatch(hint(dir), /there is none/);
    await Deno.writeTextFile(`${dir}/b.conf`, "");
    await Deno.writeTextFile(`${dir}/a.conf`, "");
    assertMatch(hint(dir), /: @a, @b$/);
  }));

Deno.test({
  name: "readProfile() reads what only root can write",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withDir(async (parent) => {
      const dir = `${parent}/pvpn`;
      const path = `${dir}/work.conf`;
      await Deno.mkdir(dir, { mode: 0o755 });
      await Deno.writeTextFile(path, "host h\n", { mode: 0o644 });
      const refuses = (why: RegExp) => {
        const error = assertThrows(() => readProfile("work", dir), UsageError);
        assertEquals(error.code, ExitCode.usage);
        assertMatch(error.message, why);
      };
      assertEquals(readProfile("work", dir).args, ["--", "h"]);
      for (const target of [path, dir]) {
        const { mode } = await Deno.stat(target);
        for (const more of [0o020, 0o002]) {
          await Deno.chmod(target, (mode! & 0o777) | more);
          refuses(/^others than root may write /);
        }
        await Deno.chmod(target, mode! & 0o777);
        await Deno.chown(target, 65534, 0);
        refuses(/^others than root may write /);
        await Deno.chown(target, 0, 0);
      }
      await Deno.chmod(path, 0o600);
      readProfile("work", dir);
      await Deno.writeTextFile(path, "#".repeat(70_000));
      refuses(/has over 65536 bytes/);
      await Deno.rename(path, `${parent}/elsewhere`);
      await Deno.symlink(`${parent}/elsewhere`, path);
      refuses(/is not a file/);
      await Deno.remove(path);
      await Deno.mkdir(path);
      refuses(/is not a file/);
      await Deno.remove(dir, { recursive: true });
      await Deno.symlink(parent, dir);
      refuses(/is not a folder/);
    }),
});
