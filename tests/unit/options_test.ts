import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { formatRoute } from "../../lib/address.ts";
import type { ConnectRequest } from "../../lib/connect.ts";
import { UsageError } from "../../lib/errors.ts";
import { OPTIONS } from "../../lib/options.ts";
import { type Command, parseCommandLine } from "../../lib/command_line.ts";
import { onlyPvpnError } from "./helpers.ts";
import { REQUEST } from "./sample_state.ts";

const parse = (...args: string[]) => parseCommandLine(args, undefined);
const command = (...args: string[]): Command => parse(...args).command;

function request(...args: string[]): ConnectRequest {
  const parsed = command(...args);
  assert(parsed.action === "connect", JSON.stringify(args));
  return parsed.request;
}

const refused = (...args: string[]): UsageError =>
  assertThrows(
    () => parse(...args),
    UsageError,
    undefined,
    JSON.stringify(args),
  );

Deno.test("parseCommandLine() takes each option in all of its forms", () => {
  const type = (...args: string[]) => request(...args, "h").type;
  for (const form of ["-t x", "-tx", "-t=x", "--type x", "--type=x"]) {
    assertEquals(type(...form.split(" ")), "x", form);
  }
  const ip = (...args: string[]) => request(...args, "h").pair.peer;
  for (
    const form of ["-i any:any", "-iany:any", "--ip any:any", "--ip=any:any"]
  ) {
    assertEquals(ip(...form.split(" ")), "any", form);
  }
  for (
    const form of ["-s p", "-sp", "--first-ssh-hop p", "--first-ssh-hop=p"]
  ) {
    assertEquals(request(...form.split(" "), "h").firstHop, "p", form);
  }
  for (const form of ["--ssh-user=bob", "--ssh-user bob"]) {
    assertEquals(request(...form.split(" "), "h").sshUser, "bob", form);
  }
  for (const form of ["--mtu 1400", "--mtu=1400"]) {
    assertEquals(request(...form.split(" "), "h").mtu, 1400, form);
  }
  for (const form of ["-f", "--foreground"]) {
    assert(request(form, "h").foreground);
  }
  for (const form of ["-d", "--debug"]) assert(parse(form, "h").debug);
  for (const form of ["-n", "--dry-run"]) {
    const parsed = command(form, "h");
    assert(parsed.action === "connect" && parsed.dryRun);
  }
  for (const form of ["-l", "--list"]) {
    const plain = { action: "list", json: false, watch: false } as const;
    assertEquals(command(form), plain);
    assertEquals(command(form, "--json"), { ...plain, json: true });
    assertEquals(command("--watch", form), { ...plain, watch: true });
  }
  const check = {
    ...{ action: "check", json: false } as const,
    request: { sshArgs: [] },
  };
  assertEquals(command("--check"), check);
  assertEquals(command("-t", "ssh-3", "--check", "--json", "h"), {
    ...check,
    ...{ request: { sshArgs: [], host: "h", type: "ssh-3" }, json: true },
  });
  for (const form of ["-h", "--help"]) {
    assertEquals(command(form).action, "help");
  }
  for (const form of ["-v", "--version"]) {
    assertEquals(command(form).action, "version");
  }
  for (
    const form of ["-S tun0", "-Stun0", "-S=tun0", "--stop tun0", "--stop=tun0"]
  ) {
    assertEquals(command(...form.split(" ")), {
      action: "stop",
      device: "tun0",
    });
  }
  assertEquals(command("--reconnect", "tun0"), {
    ...{ action: "reconnect", device: "tun0" },
  });
});

Deno.test("parseCommandLine() has defaults for all but the host", () => {
  assertEquals(command("h"), {
    action: "connect",
    dryRun: false,
    request: REQUEST,
  });
  assertEquals(parse("h").debug, false);
});

Deno.test("parseCommandLine() knows no option that is the end of a line", () => {
  for (const end of ["\n", "\r", "\u2028"]) {
    const error = assertThrows(() => parse(`-${end}_l`, "h"), UsageError);
    assertMatch(error.message, /^unknown option/);
  }
});

Deno.test("parseCommandLine() takes short options together", () => {
  const { command, debug } = parse("-dnft", "ssh-3", "h");
  assert(command.action === "connect" && command.dryRun && debug);
  assert(command.request.foreground);
  assertEquals(command.request.type, "ssh-3");
});

Deno.test("parseCommandLine() takes a value behind short options, or refuses it", () => {
  // As getopt(3) reads it; silently something else would be worst.
  const parsed = onlyPvpnError(() => parse("-dtssh-3", "h"), "-dtssh-3");
  if (parsed?.command.action === "connect") {
    assertEquals([parsed.command.request.type, parsed.debug], ["ssh-3", true]);
  }
});

Deno.test("parseCommandLine() never drops a flag for what is behind it", () => {
  const words = [
    "1",
    "=true",
    "=1",
    "0.5",
    "-",
    "-f",
    "10.0.0.0/8",
    "=",
    "e-3",
  ];
  for (const word of words) {
    for (const letter of ["n", "f", "d", "nf", "fn"]) {
      const line = onlyPvpnError(() => parse(`-${letter}${word}`, "h"), word);
      if (line === undefined) continue; // refused
      const { command } = line;
      assert(command.action === "connect");
      const got = {
        n: command.dryRun,
        f: command.request.foreground,
        d: line.debug,
      };
      for (const flag of letter) {
        assert(
          got[flag as "n"],
          `-${letter}${word} is taken, without -${flag}`,
        );
      }
    }
  }
});

Deno.test("parseCommandLine() takes the last of repeated options", () => {
  assertEquals(request("-t", "a", "h", "-t", "b").type, "b");
  assertEquals(request("--mtu=600", "--mtu", "700", "h").mtu, 700);
});

Deno.test("parseCommandLine() takes options behind the host", () => {
  const { command, debug } = parse(
    "h",
    "10.0.0.0/8",
    "-t",
    "ssh-3",
    "-d",
    "default",
  );
  assert(command.action === "connect" && debug);
  assertEquals(command.request.type, "ssh-3");
  assertEquals(command.request.routes.map(formatRoute), [
    "10.0.0.0/8",
    "default",
  ]);
});

Deno.test("parseCommandLine() takes nothing for an option behind --", () => {
  assertEquals(request("-d", "--", "h", "default").host, "h");
  for (const word of ["-d", "--help", "-S", "--"]) refused("--", word);
  refused("--", "h", "-d");
  refused("-S", "--", "tun0"); // not "all tunnels"
});

Deno.test("parseCommandLine() says which value is missing", () => {
  const table: Readonly<Record<string, RegExp>> = {
    "-t": /-t, --type needs its value: TYPE/,
    "h -t": /-t, --type needs its value: TYPE/,
    "h --type": /-t, --type/,
    "-t -d h": /-t, --type/,
    "h -i": /-i, --ip .*IP1:IP2/,
    "--mtu -- h": /--mtu .*BYTES/,
    "h -ds": /-s, --first-ssh-hop/,
  };
  for (const [args, words] of Object.entries(table)) {
    assertMatch(refused(...args.split(" ")).message, words);
  }
});

Deno.test("parseCommandLine() does not ask for an option in its own words", () => {
  for (const { long } of OPTIONS) {
    const error = onlyThrown(() => parse(`--${long}=`, "h"));
    assert(!error?.hints.includes(`did you mean --${long}?`), `--${long}=`);
  }
});

function onlyThrown(act: () => unknown): UsageError | undefined {
  try {
    return void act();
  } catch (error) {
    assert(error instanceof UsageError, String(error));
    return error;
  }
}

Deno.test("parseCommandLine() refuses routes that can be none", () => {
  for (const text of ["127.0.0.0/8", "127.0.0.1", "::1"]) {
    assertMatch(refused("h", text).message, /never leaves this machine$/);
  }
  const { message, hints } = refused("h", "www.example.com");
  assertMatch(message, /is a name/);
  assertEquals(hints, ["see which it has: getent ahosts www.example.com"]);
  for (const text of ["foo", "1.2.3", "10.0.0.0/x", "a_b c.d"]) {
    assertMatch(refused("h", text).message, /is not a route$/);
  }
});

Deno.test("parseCommandLine() refuses two things at once", () => {
  for (const args of [["-lS"], ["-S", "-l"], ["--types", "--check"]]) {
    assertMatch(refused(...args).message, /^--\w+ and --\w+ cannot be meant/);
  }
  assertEquals(parse("-l", "-v").command.action, "version");
});

Deno.test("parseCommandLine() knows what others have commands for", () => {
  for (const first of ["start", "10.0.0.0/8"]) {
    const { message, hints } = refused(first, "root@h");
    assertEquals(message, '"root@h" is not a route');
    assertMatch(hints.join(), /SSH-HOST comes first.*: pvpn root@h /);
  }
});

Deno.test("parseCommandLine() guesses what was meant", () => {
  const hint = (arg: string) => refused(arg, "h").hints.join();
  assertEquals(hint("--tpye"), "did you mean --type?");
  assertEquals(hint("--dryrun"), "did you mean --dry-run?");
  assertEquals(hint("--mut=1400"), "did you mean --mtu?");
  assertEquals(hint("--lst"), "did you mean --list?");
  assertEquals(hint("--LIST"), "did you mean --list?");
  assertEquals(hint("--dry"), "did you mean --dry-run?");
  assertMatch(hint("-p"), /^what is for ssh goes into SSH_ARGS: .*'-p \.\.\.'/);
  assertMatch(hint("-Z"), /pvpn --help/);
  assertMatch(hint("--nonsense"), /pvpn --help/);
  assertMatch(hint("--z"), /pvpn --help/);
  assertMatch(hint("-x"), /pvpn --help/);
  assertMatch(hint("--reconnec"), /pvpn --help/);
  assertMatch(refused("--mut=1400", "h").message, /"--mut"/);
});

Deno.test("parseCommandLine() survives any option's name", () => {
  const names = [
    "__proto__",
    "constructor",
    "toString",
    "_",
    "type.x",
    "no-debug",
    "-",
    "=",
    "=",
  ];
  for (const name of names) {
    for (const form of [`--${name}`, `--${name}=x`, `-${name}`]) {
      onlyThrown(() => parse(form, "h"));
      onlyThrown(() => parse(form));
    }
  }
});
