import { assert, assertEquals, assertMatch } from "@std/assert";
import type {
  CarryOptions,
  RemoteScript,
  TunnelContext,
  TunnelOptions,
} from "../../mod.ts";
import { parseAddress } from "../../lib/address.ts";
import { type Pair, parsePair6, parsePairRequest } from "../../lib/pair.ts";
import { PUMP } from "../../plugins/pump.ts";
import { sshGso } from "../../plugins/ssh_gso.ts";
import { system, withDir } from "./helpers.ts";

const OPTIONS = { device: "tun12", mtu: 1400, resume: false } as TunnelOptions;
const PAIRS = ["10.1.0.1:10.1.0.2", "172.16.3.1:172.16.3.2"]
  .map((text) => parsePairRequest(text) as Pair);

/** Opens a tunnel in a context that writes down what it is asked for. */
async function open(
  resume: boolean,
  pair6: Pair | undefined,
  more: Partial<TunnelOptions> = {},
) {
  const asked: unknown[] = [];
  let script: RemoteScript | undefined;
  let how: CarryOptions = {};
  const context = {
    pairs: PAIRS,
    pair6,
    ip(undo: unknown[], lines: unknown[]) {
      asked.push(["ip", undo, lines]);
      return Promise.resolve();
    },
    ssh(options: string[], given: RemoteScript) {
      assertEquals(options, []);
      script = given;
      return ["ssh", "--", "h", "command"];
    },
    beside(argv: string[], address: string) {
      asked.push(["beside", argv.slice(-2), address]);
      return ["ssh", "-oHostName=<server>", "h", "another"];
    },
    log: { warn: (text: string) => asked.push(["warn", text]) },
    async carry(argv: string[], options: CarryOptions) {
      await options.prepared;
      how = options;
      asked.push(["carry", argv]);
      return { device: "tun3" };
    },
  } as unknown as TunnelContext;
  await sshGso.open(context, { ...OPTIONS, resume, ...more });
  return { asked, script: script!, how };
}

const carried = (addresses: string, state: "new" | "old") => [
  "carry",
  [
    ...["perl", "-we", PUMP, "tun12", addresses, "1", state, "4"],
    ...["ssh", "--", "h", "command"],
  ],
];

Deno.test("ssh-gso makes root's device, and has perl run ssh", async () => {
  const { asked } = await open(false, undefined);
  assertEquals(asked, [
    [
      "ip",
      [{ kind: "ip", family: 4, object: "link", words: ["dev", "tun12"] }],
      [
        "tuntap add dev tun12 mode tun vnet_hdr user 0",
        "link set dev tun12 mtu 1400",
      ],
    ],
    carried("10.1.0.1,172.16.3.1", "new"),
  ]);
});

Deno.test("ssh-gso takes the device that is there, and both families", async () => {
  const { asked } = await open(true, parsePair6("fd01:2::1,fd01:2::2"));
  assertEquals(asked, [carried("10.1.0.1,172.16.3.1,fd01:2::1", "old")]);
});

Deno.test("ssh-gso has several pumps share its devices, whose name is known", async () => {
  const { asked, script, how } = await open(false, undefined, { parallel: 3 });
  const [there, count] = script.args!;
  assertMatch(there!, /^tun[0-9a-f]{10}%d$/);
  assertEquals(count, "3");
  const [[, , [line]], beside, [, argv]] = asked as [
    [string, unknown[], string[]],
    unknown[],
    [string, string[]],
  ];
  assertEquals(
    line,
    "tuntap add dev tun12 mode tun vnet_hdr multi_queue user 0",
  );
  const device = there!.replace("%d", "0");
  assertEquals(beside, ["beside", [device, "3"], "<server>"]);
  assertEquals(argv.slice(3), [
    ...["tun12", "10.1.0.1,172.16.3.1", "3", "new", "4"],
    ...[
      "ssh",
      "--",
      "h",
      "command",
      "ssh",
      "-oHostName=<server>",
      "h",
      "another",
    ],
  ]);
  assertEquals(how.tell!(parseAddress("fd01::2")), "server fd01::2");
  assertEquals(how.tell!(undefined), "server ");
  assertEquals(how.until!("pump: only 2"), false);
  assertMatch(String(asked.at(-1)), /^warn,only 2 of 3 ssh processes are up/);
  const again = await open(true, undefined, { parallel: 3 });
  assert(again.script.args![0] !== there);
});

Deno.test("ssh-gso says why it is not up", async () => {
  const { how, script } = await open(false, undefined);
  const explain = (line: string) => {
    const error = how.explain!(1, ["debug1: x", line, "debug1: y"]);
    return error && [error.code, error.message, error.hints.length];
  };
  assertEquals(explain("ssh: no"), undefined);
  assertEquals(explain("pump: ready"), undefined);
  assertEquals(explain("pump: error cannot attach to tun12: Device busy"), [
    7,
    "this end of the tunnel failed: cannot attach to tun12: Device busy",
    1,
  ]);
  assertEquals(explain("pump: error the server prints without end"), [
    6,
    "the server prints without end",
    1,
  ]);
  assertEquals(["pump: ready", "ready", "x pump: ready"].map(how.until!), [
    true,
    false,
    false,
  ]);
  const { perl, pump } = script.errors!;
  assertMatch(perl!("").hints.join(), /perl-base.*-t ssh-3/);
  for (
    const [why, hint] of [
      ["cannot attach to tun%d: Operation not permitted", /root@HOST/],
      ["cannot open /dev/net/tun: Permission denied", /root@HOST/],
      ["cannot open /dev/net/tun: No such file or directory", /modprobe tun/],
      ["fork: Cannot allocate memory", /^or use .*-t ssh-3/],
    ] as const
  ) {
    const { message, hints } = pump!(why);
    assert(message.endsWith(why), message);
    assertMatch(hints.join(), hint);
    assertMatch(hints.join(), /-t ssh-3$/);
  }
});

/** Runs the server's part with stand-ins for the core's, and for perl. */
async function hold(perl: string | undefined, peer6 = ""): Promise<string> {
  const { script } = await open(false, undefined);
  const core = `
    fail() { echo "fail $*" >&5; exit 1; }
    up() { echo "up $device" >&5; }
    report() { echo "report $1" >&5; }
    peer=10.1.0.1 peer6=${peer6}`;
  return await withDir(async (dir) => {
    if (perl !== undefined) {
      await Deno.writeTextFile(`${dir}/perl`, `#!/bin/sh\n${perl}\n`, {
        mode: 0o755,
      });
    }
    const path = `PATH=${dir}`;
    const args = `set -- ${script.args!.join(" ")}`;
    const text = [core, "exec 5>&2", path, args, script.hold].join("\n");
    const { stdout, stderr } = await system.query(
      ["/bin/sh", "-c", text],
      { anyStatus: true },
    );
    assertEquals(stdout, perl === undefined ? "" : "a packet\n");
    return stderr;
  });
}

Deno.test("the server's script of ssh-gso tells of the pump's device and end", async () => {
  const say = 'echo "a packet"; echo "device tun7" >&3; echo "$3 $4" >&3';
  const broke = 'echo "error it broke" >&3; exit 1';
  assertEquals(
    await hold(`${say}; echo "error $3 $4" >&3`, "fd01:2::1"),
    "up tun7\nreport tun7\nfail pump tun%d 10.1.0.1,fd01:2::1\n",
  );
  assertEquals(
    await hold(`${say}; echo "error $3 $4" >&3`),
    "up tun7\nreport tun7\nfail pump tun%d 10.1.0.1\n",
  );
  assertEquals(await hold(`echo "a packet"; ${broke}`), "fail pump it broke\n");
});

Deno.test("the server's script of ssh-gso says that there is no perl", async () => {
  assertEquals(await hold(undefined), "fail perl\n");
});
