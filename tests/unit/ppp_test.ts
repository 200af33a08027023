import { assertEquals, assertMatch } from "@std/assert";
import type {
  CarryOptions,
  Pair,
  RemoteScript,
  TunnelContext,
  UndoStep,
} from "../../mod.ts";
import { ExitCode, PairTakenError, PvpnError } from "../../mod.ts";
import { parsePairRequest } from "../../lib/pair.ts";
import { parseUndoStep } from "../../lib/undo_step.ts";
import { ppp } from "../../plugins/ppp.ts";
import { explainHere, explainThere } from "../../plugins/pppd.ts";
import { failureOf, system, withDir } from "./helpers.ts";

const PAIRS = ["10.1.0.1:10.1.0.2", "10.2.0.1:10.2.0.2"].map((text) =>
  parsePairRequest(text) as Pair
);
const [FIRST, SECOND] = PAIRS as [Pair, Pair];
const FACTS = { device: "ppp3" } as never;

/** Opens a tunnel in a context that writes down what it is asked for. */
async function open(carry: (n: number) => void, resume = false) {
  const recorded: UndoStep[] = [];
  const argvs: string[][] = [];
  const offered: (readonly Pair[] | undefined)[] = [];
  let options: CarryOptions = {};
  const context = {
    pairs: PAIRS,
    record(...steps: UndoStep[]) {
      for (const step of steps) assertEquals(parseUndoStep(step), step);
      recorded.push(...steps);
      return Promise.resolve();
    },
    query: system.query.bind(system),
    ssh(words: string[], _: RemoteScript, pairs?: readonly Pair[]) {
      assertEquals(words, []);
      offered.push(pairs);
      return ["ssh", "-T", "it's"];
    },
    carry(argv: string[], how: CarryOptions) {
      argvs.push(argv);
      options = how;
      return Promise.resolve().then(() => {
        carry(argvs.length);
        return FACTS;
      });
    },
  } as unknown as TunnelContext;
  const tunnel = await ppp.open(context, {
    ...{
      device: "ppp7",
      mtu: 1400,
      resume,
      uid: 0,
      ipv6: false,
      asUser: (argv) => [...argv],
    },
  });
  assertEquals(tunnel, { remote: FACTS, negotiated: true });
  return { recorded, argvs, offered, options };
}

/** The words behind an option of pppd's. */
function behind(argv: readonly string[], option: string, count = 1) {
  const at = argv.indexOf(option);
  return at < 0 ? undefined : argv.slice(at + 1, at + 1 + count);
}

Deno.test("ppp gives pppd ssh as one string, the device and the pair", async () => {
  const { argvs: [argv = []], offered, recorded } = await open(() => {});
  assertEquals(argv.slice(0, 2), ["sh", "-c"]);
  assertEquals(behind(argv, "pty"), [`exec ssh -T 'it'\\''s' 2>&3`]);
  assertEquals(behind(argv, "unit", 2), ["7", "10.1.0.1:10.1.0.2"]);
  assertEquals([behind(argv, "mtu"), behind(argv, "mru")], [["1400"], [
    "1400",
  ]]);
  assertEquals(offered, [[FIRST]]);
  assertEquals(recorded[0], { kind: "file", path: "/run/ppp7.pid" });
});

Deno.test("ppp records nothing again when it reconnects", async () => {
  assertEquals((await open(() => {}, true)).recorded, []);
});

Deno.test("ppp offers the next pair where the server has no use for one", async () => {
  const taken = () => {
    throw new PairTakenError(ExitCode.server, "taken");
  };
  const { offered } = await open((n) => n === 1 && taken());
  assertEquals(offered, [[FIRST], [SECOND]]);
  const error = await failureOf(() => open(taken));
  assertEquals(error.message, "taken");
  let tries = 0;
  const refused = () => {
    tries++;
    throw new PvpnError(ExitCode.server, "refused");
  };
  assertEquals((await failureOf(() => open(refused))).message, "refused");
  assertEquals(tries, 1);
});

Deno.test("ppp is ready with the other end's address, on its own device", async () => {
  const { options } = await open(() => {});
  const until = (line: string) => options.until!(line);
  assertEquals(until("pppd: Using interface ppp7"), false);
  assertEquals(until("remote IP address 10.1.0.2"), false);
  assertEquals(until("pppd: local  IP address 10.1.0.1"), false);
  assertEquals(until("pppd: remote IP address 10.1.0.2"), true);
  const error = await failureOf(() => {
    until("pppd: Using interface ppp8");
    return Promise.resolve();
  });
  assertEquals(error.code, ExitCode.network);
  assertMatch(error.message, /made "ppp8", where "ppp7" was free/);
});

Deno.test("ppp is ready though the server's last words are no whole line", async () => {
  const { argvs: [argv = []], options } = await open(() => {});
  const text = await withDir(async (dir) => {
    const said = "printf '+ server: ' >&3; echo 'remote IP address 10.1.0.2'";
    const pppd = `#!/bin/sh\n${said}\n`;
    await Deno.writeTextFile(`${dir}/pppd`, pppd, { mode: 0o755 });
    const { stderr } = await new Deno.Command(argv[0]!, {
      args: argv.slice(1),
      env: { PATH: `${dir}:${Deno.env.get("PATH")}` },
    }).output();
    return new TextDecoder().decode(stderr);
  });
  const ready = text.split("\n").filter((line) => options.until!(line));
  assertEquals(ready, ["pppd: remote IP address 10.1.0.2"], text);
});

const WAY_OUT = "or use OpenSSH's own tunnel: -t ssh-3";
const SEE_BOTH = "see /etc/ppp/options, on both ends";
const CONTAINER = "in a container, ask for /dev/ppp";
const DEBUG = "see what both ends say: pvpn -d";

const more = (hint: string) => /modprobe/.test(hint) ? [CONTAINER] : [];

/** What pppd on the server ended with: its status and last words. */
const THERE: readonly (readonly [string, string, string])[] = [
  [
    "127",
    "pppd on the server is not installed",
    "type there: apt install ppp, or what it is elsewhere",
  ],
  [
    "3",
    "pppd on the server may not run, for not being root",
    "log in as root: root@HOST",
  ],
  [
    "4 Couldn't open the /dev/ppp device: No such file or directory",
    "pppd on the server finds no PPP in the kernel: Couldn't open the " +
    "/dev/ppp device: No such file or directory",
    "type there: modprobe ppp_async",
  ],
  [
    "1 Couldn't set tty to PPP discipline: Invalid argument",
    "pppd on the server finds no PPP in the kernel: Couldn't set tty to PPP " +
    "discipline: Invalid argument",
    "type there: modprobe ppp_async",
  ],
  [
    "2 /usr/sbin/pppd: In file /etc/ppp/options: unrecognized option 'x'",
    "pppd on the server refused its options: In file /etc/ppp/options: " +
    "unrecognized option 'x'",
    "see /etc/ppp/options on the server",
  ],
  ["10 ", "pppd on the server could not agree with the other end's", SEE_BOTH],
  [
    "16 LCP terminated by peer (No network protocols running)",
    "pppd on the server could not agree with the other end's: LCP terminated " +
    "by peer (No network protocols running)",
    SEE_BOTH,
  ],
  [
    "15",
    "pppd on the server lost the other end's, which answers nothing",
    DEBUG,
  ],
  ["16", "pppd on the server lost its connection", DEBUG],
  ["137", "pppd on the server was ended by signal 9", DEBUG],
  ["77 odd", "pppd on the server ended with status 77: odd", DEBUG],
  ["", "pppd on the server ended with status 0", DEBUG],
];

Deno.test("the end of the server's pppd is told in words", () => {
  for (const [detail, message, hint] of THERE) {
    const hints = [hint, ...more(hint), WAY_OUT];
    assertEquals(explainThere(detail), { message, hints });
  }
});

Deno.test("the end of this machine's pppd is told in words", () => {
  const cases: [number, string[], ExitCode, string, string][] = [
    [
      4,
      ["pppd: Couldn't open the /dev/ppp device: x", "pppd: Please load it."],
      ExitCode.missingProgram,
      "finds no PPP in the kernel: Please load it.",
      "modprobe ppp_async",
    ],
    [
      1,
      ["pppd: Couldn't set tty to PPP discipline: x", "pppd: Sent 1 bytes"],
      ExitCode.missingProgram,
      "finds no PPP in the kernel: Couldn't set tty to PPP discipline: x",
      "modprobe ppp_async",
    ],
    [
      2,
      [],
      ExitCode.network,
      "refused its options",
      "see /etc/ppp/options on this machine",
    ],
    [
      10,
      ["somebody: x"],
      ExitCode.network,
      "could not agree with the other end's",
      SEE_BOTH,
    ],
    [16, ["pppd: Modem hangup"], ExitCode.ssh, "lost its connection", DEBUG],
    [137, [], ExitCode.network, "was ended by signal 9", DEBUG],
  ];
  for (const [status, lines, code, what, hint] of cases) {
    const error = explainHere(status, lines);
    assertEquals(error?.message, `pppd on this machine ${what}`);
    assertEquals([error?.code, error?.hints], [code, [
      hint,
      ...more(hint),
      WAY_OUT,
    ]]);
  }
});

Deno.test("a command that ended there, and a silent peer, are no hang-up", () => {
  const exited =
    "debug1: client_input_channel_req: channel 0 rtype exit-status reply 0";
  assertEquals(explainHere(16, [exited, "pppd: Modem hangup"]), undefined);
  const silent = explainHere(undefined, [
    "pppd: Connect: ppp0 <--> /dev/pts/0",
  ]);
  assertEquals(silent?.code, ExitCode.server);
  assertEquals(silent?.message, "pppd on the server answers nothing");
  const what = "pppd on this machine could not agree with the other end's";
  const only6 = explainHere(undefined, ["pppd: local  LL address fe80::1"]);
  assertEquals([only6?.code, only6?.message], [ExitCode.server, what]);
  const refused = explainHere(undefined, ["pppd: Protocol-Reject for IPCP"]);
  assertEquals(refused?.message, `${what}: Protocol-Reject for IPCP`);
});

Deno.test("ppp looks for pppd in all of PATH, and where root's programs are", async () => {
  const [check] = ppp.checks({} as never);
  /** Whether a program would be found in pppd's place. */
  const finds = (program: string, path: string) =>
    check!.passes(([, ...argv], options) => {
      const words = argv.map((word) => word.replaceAll("/pppd", `/${program}`));
      const PATH = `PATH=${path}`;
      return system.query(["env", PATH, "/bin/sh", ...words], options);
    });
  await withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/pvpn-x`, "");
    for (const path of [dir, `/a:${dir}`, `${dir}:/a`]) {
      assertEquals(await finds("pvpn-x", path), true, path);
    }
  });
  assertEquals(await finds("pvpn-x", "/a:/b"), false);
  assertEquals(await finds("ip", "/a:/b"), true);
});
