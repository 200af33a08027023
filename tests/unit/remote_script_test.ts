/** The server's script, run by the shells that servers have, with an `ip` of ours. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatPair, type Pair, parsePairRequest } from "../../lib/pair.ts";
import {
  newToken,
  remoteCommand,
  type RemoteFacts,
  RemoteReader,
} from "../../lib/remote.ts";
import { linesOf } from "../../lib/command.ts";
import { failureOf, until, which, withDir } from "./helpers.ts";

const SCRIPT = {
  device: "device=${SSH_TUNNEL:-}",
  hold: "while read -r _; do :; done",
};
const PATH_LINE = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin";

interface Options {
  /** What `ip` does: sh, with its words as `$*`. */
  readonly ip?: string;
  /** `$SSH_TUNNEL`; lo, which is everywhere, without. */
  readonly device?: string;
  readonly pairs?: readonly string[];
  readonly resume?: boolean;
  readonly trace?: boolean;
  /** Whether PATH has an `ip`. */
  readonly hasIp?: boolean;
}

/** A session that runs. */
interface Session {
  /** Reads until the facts, or the error, are there. */
  facts(): Promise<RemoteFacts>;
  /** Closes its input, and waits. */
  end(): Promise<void>;
  /** Signals the script itself, and waits. */
  kill(signal: Deno.Signal): Promise<void>;
  /** The words of each `ip` so far. */
  log(): string[];
  /** What stood in for sshd said of its end. */
  sshd(): string;
  /** Lines that were not the script's own. */
  readonly other: string[];
  readonly dir: string;
}

async function withSession(
  shell: string,
  options: Options,
  use: (session: Session) => Promise<void>,
): Promise<void> {
  await withDir(async (dir) => {
    const ip = `#!/bin/sh\necho "$*" >>${dir}/log\n${options.ip ?? ""}\n`;
    await Deno.mkdir(`${dir}/bin`);
    if (options.hasIp ?? true) {
      await Deno.writeTextFile(`${dir}/bin/ip`, ip, { mode: 0o755 });
    }
    const request = {
      token: newToken(),
      mtu: 1400,
      resume: options.resume ?? false,
      trace: options.trace ?? false,
      pairs: (options.pairs ?? ["10.1.0.1:10.1.0.2"])
        .map((text) => parsePairRequest(text) as Pair),
    };
    let command = remoteCommand(SCRIPT, request)
      .replace("exec /bin/sh", () => `exec ${shell}`);
    if (options.hasIp === false) {
      command = command.replace(PATH_LINE, ":");
      await Deno.symlink("/usr/bin/printf", `${dir}/bin/printf`); // for mksh
    }
    // The script ends its parent, which is sshd there, and here is this.
    const child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `trap 'echo ended >>"$2"' TERM\n/bin/sh -c "$1"\necho "$?" >>"$2"`,
        ...["sshd", command, `${dir}/sshd`],
      ],
      clearEnv: true,
      env: {
        PATH: options.hasIp === false
          ? `${dir}/bin`
          : `${dir}/bin:/usr/bin:/bin`,
        SSH_TUNNEL: options.device ?? "lo",
      },
      cwd: dir,
      ...{ stdin: "piped", stdout: "null", stderr: "piped" },
    }).spawn();
    const text = (file: string) => {
      try {
        return Deno.readTextFileSync(`${dir}/${file}`);
      } catch {
        return "";
      }
    };
    const lines = linesOf(child.stderr);
    const reader = new RemoteReader(request);
    const other: string[] = [];
    let open = true;
    const end = async () => {
      if (open) await child.stdin.close().catch(() => {});
      open = false;
      for await (const line of lines) other.push(line);
      await child.status;
    };
    try {
      await use({
        async facts() {
          while (true) {
            const { done, value } = await lines.next();
            if (done) throw new Error(`no facts: ${other}`);
            const read = reader.read(value);
            if (typeof read === "object") return read;
            if (!read) other.push(value);
          }
        },
        end,
        async kill(signal) {
          const children = `/proc/${child.pid}/task/${child.pid}/children`;
          Deno.kill(Number(Deno.readTextFileSync(children)), signal);
          await until(() => text("sshd") !== "");
          await end();
        },
        log: () => text("log").split("\n").filter(Boolean),
        sshd: () => text("sshd"),
        ...{ other, dir },
      });
    } finally {
      await end();
    }
  });
}

const shells = ["/bin/sh"];
for (const name of ["dash", "bash", "busybox", "mksh", "ksh93"]) {
  const path = await which(name);
  if (path !== undefined) {
    shells.push(name === "busybox" ? `${path} sh` : path);
  }
}

/** A test that is run with each shell that is here. */
function scriptTest(
  name: string,
  options: Options,
  use: (session: Session) => Promise<void>,
): void {
  for (const shell of shells) {
    Deno.test(`the server's script ${name} (${shell.replace(/^.*\/(?=.)/, "")})`, () =>
      withSession(shell, options, use));
  }
}

const SHOW = /^-4 route show table all match /;
const changes = (session: Session) =>
  session.log().filter((line) => !SHOW.test(line)).sort();
const UP = [
  "address add 10.1.0.2 peer 10.1.0.1 dev lo",
  "link set dev lo mtu 1400 up",
];
const UNDONE = [
  "address delete 10.1.0.2 peer 10.1.0.1 dev lo",
  `link set dev lo mtu ${
    Deno.readTextFileSync("/sys/class/net/lo/mtu").trim()
  } ${
    Number(Deno.readTextFileSync("/sys/class/net/lo/flags")) & 1 ? "up" : "down"
  }`,
];

scriptTest(
  "sets up, says so, and undoes it at the end of input",
  {},
  async (session) => {
    const { device, pair } = await session.facts();
    assertEquals([device, formatPair(pair)], ["lo", "10.1.0.1:10.1.0.2"]);
    assertEquals(changes(session), UP);
    await session.end();
    assertEquals(changes(session), [...UP, ...UNDONE].sort());
    assertMatch(session.sshd(), /^ended$/m);
    assertEquals(session.other, []);
  },
);

for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
  scriptTest(`undoes at ${signal}`, {}, async (session) => {
    await session.facts();
    await session.kill(signal);
    assertEquals(changes(session), [...UP, ...UNDONE].sort());
  });
}

const ROUTES = `case $* in *match*)
  echo 'default via 192.0.2.1 dev eth0'
  echo 'unreachable default dev lo metric 4278198272'
  echo '0.0.0.0/1 via 198.51.100.1 dev tun7'
  echo '128.0.0.0/1 via 198.51.100.1 dev tun7' ;;
esac
`;

scriptTest("takes the first pair that nothing but a default route covers", {
  pairs: ["10.1.0.1:10.1.0.2", "10.3.0.1:10.3.0.2", "10.4.0.1:10.4.0.2"],
  ip: ROUTES +
    `case $* in *10.1.*) echo '10.1.0.0/16 dev eth0 scope link' ;; esac`,
}, async (session) => {
  assertEquals(formatPair((await session.facts()).pair), "10.3.0.1:10.3.0.2");
  assert(!session.log().some((line) => line.includes("10.4.")));
});

for (
  const [kind, line] of [
    ["network", "10.1.0.0/16 dev eth0 proto kernel"],
    ["address of its own", "local 10.1.0.0/16 dev eth0 table local"],
    ["unreachable network", "unreachable 10.1.0.0/16 metric 5"],
  ]
) {
  scriptTest(
    `names the ${kind} that a pair collides with, and changes nothing`,
    {
      ip: ROUTES + `case $* in *match\\ 10.1.0.2) echo '${line}' ;; esac`,
    },
    async (session) => {
      const { message } = await failureOf(() => session.facts());
      assertMatch(message, /10\.1\.0\.1:10\.1\.0\.2 .*"10\.1\.0\.0\/16"/);
      await session.end();
      assertEquals(changes(session), []);
    },
  );
}

scriptTest("takes no pair when the routes cannot be seen", {
  ip: "case $* in *match*) exit 1 ;; esac",
}, async (session) => {
  await failureOf(() => session.facts());
});

scriptTest("says that there is no ip", { hasIp: false }, async (session) => {
  assertMatch((await failureOf(() => session.facts())).message, /no "ip"/);
});

for (
  const device of [
    "",
    "nosuch0",
    "lo; touch evil",
    "$(touch evil)",
    "*",
    "../lo/../nosuch",
  ]
) {
  scriptTest(
    `refuses "${device}" as its device`,
    { device },
    async (session) => {
      const { message } = await failureOf(() => session.facts());
      assertMatch(message, /made no tunnel device/);
      await session.end();
      assertEquals(session.log(), []);
      assert(
        ![...Deno.readDirSync(session.dir)].some(({ name }) => name === "evil"),
      );
      // What ended before it was ready leaves sshd, or the error might be lost.
      assertEquals(session.sshd(), "1\n");
    },
  );
}

scriptTest("tells in one line why ip failed, and undoes the rest", {
  ip: `case $* in address\\ add*)
    printf 'RTNETLINK answers:\\n * Operation\\n\\tnot permitted $(touch evil)\\n' >&2
    exit 2 ;; esac`,
}, async (session) => {
  const error = await failureOf(() => session.facts());
  assertMatch(
    error.message,
    /RTNETLINK answers: \* Operation not permitted \$\(/,
  );
  assertMatch(error.hints.join(), /root@HOST/);
  await session.end();
  assertEquals(changes(session), [...UP, ...UNDONE].sort());
});

scriptTest("takes its addresses away from the session that it follows", {
  resume: true,
  ip: `case $* in *address\\ show*)
    echo '7: tun7    inet 10.1.0.2 peer 10.1.0.1/32 scope global tun7'
    echo '8: tun8    inet 10.1.0.2 peer 10.9.9.9/32 scope global tun8'
    echo '9: eth0    inet 10.1.0.2/24 brd 10.1.0.255 scope global eth0' ;;
  esac`,
}, async (session) => {
  await session.facts();
  const taken = changes(session).filter((line) => /tun|eth/.test(line));
  assertEquals(taken, [
    "address delete 10.1.0.2 peer 10.1.0.1 dev tun7",
    "link set dev tun7 down",
  ]);
});

scriptTest("shows what it runs, marked as the server's, when it is asked to", {
  trace: true,
}, async (session) => {
  await session.facts();
  const run = "+ server: ip address add 10.1.0.2 peer 10.1.0.1 dev lo";
  assert(
    session.other.some((line) => line.includes(run.slice(2))),
    session.other.join("\n"),
  );
});
