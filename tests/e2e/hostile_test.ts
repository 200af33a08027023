/**
 * Servers that answer with what no script of pvpn's says: an error in bounded
 * time and memory, nothing executed, nothing changed.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import { ADDRESS, type Lab, type Node, type RunResult } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { connect, SSH_3, suite, up } from "./helpers.ts";
import { eventually, start } from "./running.ts";

const test = suite({ jump: false });

const HOST = "root@server";

// What the server runs instead of what it is sent: a case by its name. It
// knows the session's token, and can say what a real one would.
const EVIL = `
token=$(printf '%s' "$SSH_ORIGINAL_COMMAND" |
  grep -o 'pvpn-[0-9a-f]\\{32\\}' | head -n 1)
pair=$(printf '%s' "$SSH_ORIGINAL_COMMAND" |
  grep -o '[0-9.]*:[0-9][0-9.]*' | tail -n 1)
say() { printf '%s %s\\n' "$token" "$*" >&2; }
facts() {
  for line; do say "$line"; done
  say "local=\${pair#*:}"; say "peer=\${pair%:*}"; say forwarding=1; say ready
}
hang() { exec cat >/dev/null; }
case $LC_CASE in
`;

/** A server: what it runs, and what a connect says of it. */
interface Server {
  readonly script: string;
  readonly error: RegExp;
  /** The same of `--check`, which does not ask for a device. */
  readonly check?: RegExp;
}

const LATE = /did not set its end up within 20 seconds/;
const ENDLESS = /prints without end/;
const NOT_RUN = /did not run the set-up/;
const NAME = /answered the set-up with the device name/;
const LINE = /answered the (?:set-up|check) with the line/;
/** Of a line without an end: ssh may say something, which ends it. */
const EITHER = new RegExp(`${LATE.source}|${LINE.source}`);

const device = (name: string): Server => ({
  script: `facts 'device=${name}'; hang`,
  error: NAME,
  check: LINE,
});
const SERVERS: Readonly<Record<string, Server>> = {
  "says nothing, and ends": { script: ":", error: NOT_RUN },
  "says nothing, and stays": { script: "hang", error: LATE },
  "says half a line": {
    script: 'printf "%s devi" "$token" >&2; hang',
    error: EITHER,
  },
  "says half a line, and ends": {
    script: 'printf "%s devi" "$token" >&2',
    error: LINE,
  },
  "says garbage": {
    script: "head -c 10000000 /dev/urandom | tee /dev/stderr",
    error: ENDLESS,
  },
  "says 1 GB of zeros": {
    script: "head -c 1G /dev/zero >&2; hang",
    error: LATE,
  },
  "says 1 GB of zeros on stdout": {
    script: "head -c 1G /dev/zero; hang",
    error: LATE,
  },
  "says 1 GB of line feeds": {
    script: "head -c 1G /dev/zero | tr '\\0' '\\n' >&2; hang",
    error: ENDLESS,
  },
  "says 1 GB of carriage returns": {
    script: "head -c 1G /dev/zero | tr '\\0' '\\r' >&2; hang",
    error: LATE,
  },
  "says it has logged in again and again": {
    script: "while sleep 1; do echo 'Authenticated to server' >&2; done",
    error: LATE,
  },
  "tries the terminal": {
    script: "printf '\\033]0;x\\007\\033[2J\\233\\r\\n' >&2; " +
      "say \"error=$(printf 'x \\033]52;c;eA==\\007')\"",
    error: /set-up failed: x \?\]52;c;eA==\?/,
    check: LINE,
  },
  "has a device ../../x": device("../../x"),
  "has a device -j": device("-j"),
  "has a device for a shell": device("$(touch /tmp/x);`touch /tmp/x`"),
  "has a device of another line": {
    script: "facts \"$(printf 'device=tun0\\rdevice=x')\"; hang",
    error: LINE,
  },
  "has addresses of its own": {
    script: "pair=10.9.9.9:10.9.9.8; facts device=tun0; hang",
    error: /addresses that nobody offered/,
    check: LINE,
  },
  "has resolvers without end": {
    script: "while :; do say resolver=192.0.2.1; done",
    error: LINE,
  },
  "has facts without end": {
    script: 'i=0; while :; do say "k$i=1"; i=$((i+1)); done',
    error: LINE,
  },
  "has a fact without end": {
    script: 'printf "%s device=" "$token" >&2; tr "\\0" x </dev/zero >&2',
    error: EITHER,
  },
};

const NAMES = Object.keys(SERVERS);

async function turnHostile({ server }: Lab): Promise<void> {
  const cases = NAMES.map((name, i) => `${i}) ${SERVERS[name]!.script} ;;\n`);
  await server.writeFile("/tmp/evil", `${EVIL}${cases.join("")}esac\n`);
}

const FORCED = ["AcceptEnv LC_CASE", "ForceCommand exec sh /tmp/evil"];

/** The most memory that processes of a name ever had, in kB. */
class Peak implements AsyncDisposable {
  readonly #peaks = new Map<string, number>();
  readonly #node: Node;
  readonly #done: Promise<void>;
  #watching = true;

  constructor(node: Node) {
    this.#node = node;
    this.#done = this.#watch();
  }

  async #watch(): Promise<void> {
    while (this.#watching) {
      for (const { pid } of await this.#node.processes()) {
        const path = `${this.#node.root}/proc/${pid}/status`;
        const text = await Deno.readTextFile(path).catch(() => "");
        // Its name of this moment: a keeper becomes pvpn.
        const comm = /^Name:\s+(.*)$/m.exec(text)?.[1] ?? "";
        const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
        this.#peaks.set(comm, Math.max(peak, this.#peaks.get(comm) ?? 0));
      }
      // No event tells that a process grows.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Asserts that none had more than it should ever need. */
  assertSmall(): void {
    const peak = (comm: string) => this.#peaks.get(comm) ?? 0;
    assert(peak("pvpn") > 0 && peak("ssh") > 0);
    assert(peak("pvpn") < 200_000, `pvpn had ${peak("pvpn")} kB`);
    assert(peak("ssh") < 32_000, `ssh had ${peak("ssh")} kB`);
    assert(peak("sh") < 8000, `sh had ${peak("sh")} kB`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watching = false;
    await this.#done;
  }
}

// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

/** What is wrong with how one ended. */
function wrong(
  { code, stderr, stdout }: RunResult,
  error: RegExp,
): string | undefined {
  const text = stdout + stderr;
  if (code === 6 && error.test(text) && !CONTROL_REGEXP.test(text)) return;
  return `${code}: ${JSON.stringify(text.slice(-500))}`;
}

const COMMANDS: Readonly<Record<string, (index: number) => string[]>> = {
  connect: (index) => ["-D", HOST, `10.88.${index}.0/24`],
  "--check": () => ["--check", HOST],
};

for (const [what, args] of Object.entries(COMMANDS)) {
  test(`a hostile server gets nothing out of ${what}`, async (lab) => {
    await turnHostile(lab);
    await lab.startSshd(FORCED);
    await using peak = new Peak(lab.client);
    const failures: string[] = [];
    const left = [...NAMES.entries()];
    const work = async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) {
        const [index, name] = one;
        const { error, check = error } = SERVERS[name]!;
        const SSH_ARGS = `-o SetEnv=LC_CASE=${index}`;
        const begun = performance.now();
        const result = await connect(lab, args(index), { env: { SSH_ARGS } });
        const spent = performance.now() - begun;
        const why = spent > deadline(30_000)
          ? `${spent} ms`
          : wrong(result, what === "connect" ? error : check);
        if (why !== undefined) failures.push(`${name}: ${why}`);
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));
    assertEquals(failures, []);
    peak.assertSmall();
    await lab.server.remove("/tmp/evil");
    await lab.startSshd();
  });
}

/** What an honest server says, and what follows it. */
const AFTER = `#!/bin/sh
{ sleep 1; head -c 200M /dev/zero; yes '[2J'; } >&2 &
exec sh -c "$SSH_ORIGINAL_COMMAND"
`;

test("a server that floods a tunnel that is up does no harm", async (lab) => {
  const { client, server } = lab;
  await server.writeFile("/tmp/evil", AFTER);
  await lab.startSshd(["ForceCommand exec sh /tmp/evil"]);
  await using peak = new Peak(client);
  const foreground = start(lab, ["-f", ...SSH_3, HOST, "10.88.0.0/24"]);
  assertEquals(await foreground.firstOutput, "tun0 connected");
  await using _ = await up(lab, [HOST, "203.0.113.0/24"]);
  // While it floods.
  for (const address of [ADDRESS.inet, ADDRESS.public]) {
    const ping = ["ping", "-n", "-q", "-i0.2", "-c40", "-W20", address];
    assertMatch(await client.ok(ping), / 40 received/);
  }
  await foreground.kill("SIGTERM");
  assertEquals((await foreground.ended).stderr, "");
  peak.assertSmall();
  await server.remove("/tmp/evil");
  await lab.startSshd();
});

test("a server that turns hostile when it is asked again gets nothing more", async (lab) => {
  const { client, server } = lab;
  await using _ = await up(lab, [HOST, "default"]);
  await server.writeFile(
    "/tmp/evil",
    "head -c 1G /dev/zero >&2; exec cat >/dev/null",
  );
  await lab.startSshd(["ForceCommand exec sh /tmp/evil"]);
  await using peak = new Peak(client);
  const why = `${pvpnBinary()} -l | grep "did not set its end up"`;
  await eventually(client, ["sh", "-c", why], 60_000);
  peak.assertSmall();
  await server.remove("/tmp/evil");
  await lab.startSshd();
});
