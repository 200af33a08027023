/** Hostile input to all that reads what programs and servers say. */
import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { formatAddress, parseAddress } from "../../lib/address.ts";
import { parseResolvers } from "../../lib/auto_nets.ts";
import { formatCheck } from "../../lib/check_format.ts";
import { serverRows } from "../../lib/check_rows.ts";
import { sshRows, typeRows } from "../../lib/check_types.ts";
import { linesOf } from "../../lib/streams.ts";
import { parseSurvey } from "../../lib/dns_plan.ts";
import { printable } from "../../lib/log.ts";
import { ProbeReader } from "../../lib/probe.ts";
import { parseStat } from "../../lib/process.ts";
import { DEVICE_REGEXP, RemoteReader } from "../../lib/remote.ts";
import { parseTold, RESOLVERS_PART } from "../../lib/resolv_conf.ts";
import { formatResolvConf } from "../../lib/resolv_file.ts";
import { parseRoutingTable } from "../../lib/routing_table.ts";
import { parseSockets } from "../../lib/sockets.ts";
import { parseConfig } from "../../lib/ssh.ts";
import { explainSshFailure } from "../../lib/ssh_failure.ts";
import { batchErrors } from "../../lib/undo.ts";
import { explainHere, explainThere } from "../../plugins/pppd.ts";
import { plugins } from "../../plugins/mod.ts";
import { fuzz } from "./fuzz.ts";
import { system, withDir } from "./helpers.ts";
import { REMOTE } from "./sample_state.ts";

/** What a terminal would obey. */
// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

fuzz("parseConfig(), of ssh -G,", {
  samples: [
    "user root\nhostname server\nport 22\nproxyjump none\nciphers a,b\n",
    "port 2222\nproxycommand nc %h\nhostkeyalias x\nconnecttimeout none\n",
  ],
  pieces: ["\nport ", "\ncontrolmaster ", "\nsessiontype ", " none", "\r\n"],
  parse: (text) => parseConfig(text, "h"),
  check({ port, hostname }) {
    assert(Number.isInteger(port) && port > 0 && port < 65536);
    assertEquals(typeof hostname, "string");
  },
});

fuzz("explainSshFailure()", {
  samples: [
    "debug1: x\nroot@h: Permission denied (publickey).",
    "ssh: connect to host h port 22: Connection refused",
    "Server has rejected tunnel device forwarding",
    "Host key verification failed.",
  ],
  pieces: ["\n", "debug1: ", "tun_open: failed to ", "Connection timed out"],
  parse: (text) => explainSshFailure("h", text.split("\n"), 255),
  check({ message, hints }) {
    assert(message !== "" && hints.length > 0);
  },
});

const REQUEST = { ...REMOTE, parts: [RESOLVERS_PART] };
const READY = [
  ...["device=tun0", "local=10.1.0.2", "peer=10.1.0.1", "forwarding=1"],
  ...["network=10.9.0.0/16", "resolver=10.0.0.53", "domain=corp.test"],
  ...["own=port 5000", "ipv6=way", "ready"],
].map((line) => `pvpn-0123 ${line}`).join("\n");

fuzz("RemoteReader", {
  samples: [READY],
  pieces: [
    ...["\npvpn-0123 ", "device=", "error=", "own=", "resolver=", "ready"],
    "\npvpn-0123 error=missing ip",
    "\npvpn-0123 error=address 10.1.0.1 10.1.0.2 10.0.0.0/8",
  ],
  parse(text) {
    const reader = new RemoteReader(REQUEST, { reports: { port: /^\d+$/ } });
    const read = text.split("\n").map((line) => reader.read(line));
    return read.find((facts) => typeof facts === "object");
  },
  check(facts) {
    if (facts === undefined) return;
    const { device, pair, told, networks, resolvers } = facts;
    assertMatch(device, DEVICE_REGEXP);
    assertEquals(pair, REQUEST.pairs[0]);
    assertMatch(told.port ?? "", /^\d+$/);
    assert(networks.length <= 129 && resolvers!.addresses.length <= 8);
  },
});

const STYLE = { terminal: true, columns: 80, color: false };
const CHECKS = plugins.flatMap((plugin) =>
  (plugin.remoteChecks?.({
    ...{ device: "", mtu: 1500, ipv6: false, resume: false, uid: 0 },
    asUser: (argv) => [...argv],
  }) ?? []).map((check) => ({ plugin, check }))
);

fuzz("ProbeReader, and what --check makes of it,", {
  samples: [
    "uid=0\nuser=root\nkernel=6.1\nforward4=0\nmanager=dnf\nip=ip utility, " +
    "iproute2-6.1.0\nfirewall=nft\nclock=5\nconnection=10.0.0.1 1 10.0.0.2 22\n" +
    "resolver=10.0.0.53\nstub=127.0.0.1\ncheck=0 0 pppd 2.4.9\ncheck=1 1 ",
  ].map((text) => text.replace(/^/gm, "T ")),
  pieces: [
    "\nT ",
    "check=0 1",
    "\nT manager=constructor",
    "uid=",
    "clock=",
    "\nT ready",
  ],
  parse(text) {
    const reader = new ProbeReader("T");
    for (const line of text.split("\n")) reader.read(line);
    const facts = reader.facts();
    const probed = { facts, socket: undefined, once: undefined, now: 5 };
    const checks = [
      ...serverRows("h", probed),
      ...sshRows(plugins, "server", facts),
      ...typeRows(CHECKS, facts),
    ];
    return { version: 1, host: "h", checks, types: [], status: 0 } as const;
  },
  check(report) {
    const shown = formatCheck(report, STYLE);
    assertNotMatch(shown + JSON.stringify(report), CONTROL_REGEXP);
    assertNotMatch(shown, /native code|\[object /);
  },
});

const TOLD =
  "resolver=10.0.0.53\nresolver=fd00::1\ndomain=corp.test\ndomain=b\n";

fuzz("parseTold(), and the resolv.conf that is made of it,", {
  samples: [TOLD],
  pieces: ["\nresolver=", "\ndomain=", "nameserver "],
  parse(text) {
    const of = (key: string) =>
      text.split("\n").filter((line) => line.startsWith(`${key}=`))
        .map((line) => line.slice(key.length + 1));
    return parseTold({ resolver: of("resolver"), domain: of("domain") });
  },
  check(resolvers) {
    const [search = "", ...servers] = formatResolvConf(resolvers).split("\n");
    assertMatch(search, /^search (?:\.|[a-z0-9._ -]+)$/);
    for (const line of servers) assertMatch(line, /^nameserver [0-9a-f.:]+$/);
    assertEquals(servers.length, resolvers.addresses.length);
  },
});

fuzz("parseSurvey()", {
  samples: [`own=127.0.0.53\nresolved=yes\n${TOLD}`, "resolvconf=openresolv 3"],
  pieces: ["\nown=", "\nresolver=", "\nresolvconf="],
  parse: parseSurvey,
  check({ owners, resolvers }) {
    assert(owners.length > 0);
    for (const address of resolvers.addresses) formatAddress(address);
  },
});

fuzz("parseResolvers()", {
  samples: ["# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a\n"],
  pieces: ["\nnameserver ", "%"],
  parse: parseResolvers,
  check(all) {
    for (const one of all) assertEquals(parseAddress(formatAddress(one)), one);
  },
});

fuzz("the script that reads resolv.conf", {
  samples: [
    "# x\nnameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:2\n",
    "nameserver 127.0.0.1\ndomain c.test\nnameserver fd00::1",
  ],
  pieces: ["\nnameserver ", "\nsearch ", "\ndomain ", "*", "$(touch evil)"],
  share: 0.1, // a process each
  parse: (text) =>
    withDir(async (dir) => {
      await Deno.mkdir(`${dir}/etc`);
      await Deno.writeTextFile(`${dir}/etc/resolv.conf`, text);
      const script = 'set -f\nsay() { printf "%s\\n" "$*"; }\n' +
        RESOLVERS_PART.text.replaceAll(
          /(?<=[ (])\/(?=etc\/|run\/)/g,
          `${dir}/`,
        );
      const argv = ["sh", "-c", `cd "$1" && ${script}`, "pvpn", dir];
      const { stdout } = await system.query(argv);
      const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
      assertEquals(names, ["etc"], "it ran something");
      return stdout.split("\n").filter(Boolean);
    }),
  check(lines) {
    assert(lines.length <= 17);
    for (const line of lines) assertMatch(line, /^(?:resolver|domain|stub)=/);
  },
});

fuzz("parseRoutingTable()", {
  samples: [
    '[{"dst":"default","gateway":"10.0.0.1","dev":"eth0"},' +
    '{"type":"local","dst":"10.0.0.2","table":"local","scope":"host"},' +
    '{"dst":"fe80::/64","dev":"eth0"}]',
    "[]",
    "",
  ],
  pieces: ['{"dst":"10.0.0.0/8"}', '"table":"7"', ",", "[", "{}"],
  parse: parseRoutingTable,
  check({ taken, main, tables }) {
    assert(main.length <= taken.length && tables instanceof Set);
  },
});

const SOCKET = '0 0 10.77.0.2:50000 10.77.0.1:22 users:(("ssh",pid=5,fd=3))';

fuzz("parseSockets(), of ss,", {
  samples: [
    `${SOCKET}\n\t cubic wscale:7,7 rto:204 rtt:3.5/2 mss:1448 pmtu:1500`,
  ],
  pieces: [`\n${SOCKET}`, "\n\t", "[::1]:22", "pid=6", 'users:(("', " rtt:"],
  parse: parseSockets,
  check(sockets) {
    for (const { peer, owners, rtt } of sockets) {
      assert(parseAddress(peer.address) !== undefined);
      assert(owners.every((pid) => pid >= 0));
      assert(rtt === undefined || rtt >= 0);
    }
  },
});

fuzz("parseStat(), of /proc/PID/stat,", {
  samples: [`4711 (a (b) c) S ${"1 ".repeat(18)}987654 0 0`],
  pieces: [") ", "(", " 0"],
  parse: parseStat,
  check(id) {
    if (id === undefined) return;
    assert(Number.isSafeInteger(id.pid) && /^\d+$/.test(id.start));
  },
});

fuzz("batchErrors(), of ip -batch,", {
  samples: ["RTNETLINK answers: File exists\nCommand failed -:3\nx\n"],
  pieces: ["\nCommand failed -:", "\nCommand failed /x:1"],
  parse: (stderr) => batchErrors({ status: 1, stdout: "", stderr }),
  check(errors) {
    for (const { line, reason } of errors) {
      assert(line >= 0 && !reason.includes("\n"));
    }
  },
});

fuzz("why pppd ended", {
  samples: ["10 pppd: timeout\npppd: Using interface ppp0", "2 unknown option"],
  pieces: ["\npppd: ", "exit-status", "LL address "],
  parse(text) {
    const [status = ""] = text.split(" ");
    return [
      explainThere(text),
      ...[explainHere(Number(status), text.split("\n")) ?? []].flat(),
      explainHere(undefined, text.split("\n"))!,
    ];
  },
  check(errors) {
    for (const { message, hints } of errors) {
      assert(message.startsWith("pppd ") && hints.length > 0);
    }
  },
});

fuzz("printable()", {
  samples: ["plain\ttext\n", "\x1b]0;title\x07\x1b[31mred\x9b2J\u202e"],
  parse: printable,
  check(shown, text) {
    assertEquals(shown.length, text.length);
    assertNotMatch(shown, CONTROL_REGEXP);
    assertEquals(printable(shown), shown);
  },
});

fuzz("linesOf()", {
  samples: ["one\ntwo\r\nthree", "\n\n"],
  parse: (text) => {
    const stream = new Blob([text]).stream();
    return Array.fromAsync(linesOf(stream));
  },
  check(lines) {
    for (const line of lines) {
      assert(line.length <= 4096 && !line.includes("\n"));
    }
  },
});
