/** Hostile input to all that reads what is typed, or written down. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  formatAddress,
  formatPrefix,
  formatRoute,
  parseAddress,
  parsePrefix,
  parseRoute,
} from "../../lib/address.ts";
import { parseOptions } from "../../lib/api_options.ts";
import { parseCommandLine } from "../../lib/command_line.ts";
import { type Option, OPTIONS } from "../../lib/options.ts";
import {
  formatPair,
  formatPair6,
  parsePair6,
  parsePairRequest,
} from "../../lib/pair.ts";
import { parseProfile } from "../../lib/profile.ts";
import { quoteAll } from "../../lib/quote.ts";
import { parseDomain } from "../../lib/resolver.ts";
import { parseHost } from "../../lib/ssh.ts";
import { parseSshArgs, splitWords } from "../../lib/ssh_args.ts";
import { parseState, type TunnelState } from "../../lib/state.ts";
import { parsePasswd, parseUserName } from "../../lib/user.ts";
import { fuzz, type Seeded } from "./fuzz.ts";
import { STATE } from "./sample_state.ts";

/** What no word may have in it that reaches a command. */
// deno-lint-ignore no-control-regex
const CONTROL_REGEXP = /[\x00-\x1f\x7f]/;

const ADDRESSES = [
  ...["192.0.2.1", "10.0.0.0", "255.255.255.255", "0.0.0.0"],
  ...["2001:db8::1", "::", "::1", "fe80::1:2:3:4", "::ffff:192.0.2.1"],
];
const NETWORKS = ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::/0"];

fuzz("parseAddress()", {
  samples: ADDRESSES,
  parse: parseAddress,
  check(address) {
    if (address === undefined) return;
    assertEquals(parseAddress(formatAddress(address)), address);
  },
});

fuzz("parsePrefix()", {
  samples: [...NETWORKS, ...ADDRESSES, "default"],
  parse: (text) => parsePrefix(text, text.includes(":") ? 6 : 4),
  check(prefix) {
    if (prefix === undefined) return;
    assertEquals(parsePrefix(formatPrefix(prefix), prefix.family), prefix);
  },
});

fuzz("parseRoute()", {
  samples: ["default", "10.0.0.0/8", "192.0.2.1", "2001:db8::/32"],
  parse: parseRoute,
  check: (route) => assertEquals(parseRoute(formatRoute(route)), route),
});

fuzz("parsePairRequest()", {
  samples: ["any:any", "10.1.0.1:10.1.0.2", "any:10.1.0.2"],
  parse: parsePairRequest,
  check: (pair) => assertEquals(parsePairRequest(formatPair(pair)), pair),
});

fuzz("parsePair6()", {
  samples: ["fd01:203:405::1,fd01:203:405::2"],
  parse: parsePair6,
  check(pair) {
    if (pair !== undefined) assertEquals(parsePair6(formatPair6(pair)), pair);
  },
});

fuzz("parseHost()", {
  samples: ["root@server", "10.77.0.1", "fe80::1%eth0", "work"],
  parse: parseHost,
  check(host, text) {
    assertEquals(host, text);
    assertMatch(host, /^(?!-)[^\s'"`$;|&<>\\]+$/);
  },
});

fuzz("splitWords()", {
  samples: ["-p 2222 -i 'my key'", `-o "ProxyCommand nc %h" \\-x`, ""],
  parse: splitWords,
  check: (words) => assertEquals(splitWords(quoteAll(words)), words),
});

fuzz("parseSshArgs()", {
  samples: ["-p 2222 -i 'my key'", "-oPort=2 -4C", ""],
  pieces: ["-w", "-S", "-o", " '", '"', "\\"],
  parse: parseSshArgs,
  check(words) {
    assert(!words.some((word) => CONTROL_REGEXP.test(word)));
    assertEquals(parseSshArgs(quoteAll(words)), words);
  },
});

fuzz("parseUserName()", {
  samples: ["alice", "EXAMPLE\\alice", "a.b@c", "1000"],
  parse: parseUserName,
  check: (name) => assertMatch(name, /^[^\s:-][^\s:]*$/),
});

fuzz("parsePasswd()", {
  samples: ["alice:x:1000:1000:A:/home/alice:/bin/sh", "a:x:0:0::/:"],
  pieces: [":"],
  parse: parsePasswd,
  check(user) {
    if (user === undefined) return;
    const { name, uid, gid, home, shell } = user;
    const line = [name, "x", uid, gid, "", home, shell].join(":");
    assertEquals(parsePasswd(line), user);
    assert(!CONTROL_REGEXP.test(line));
  },
});

fuzz("parseDomain()", {
  samples: ["corp.example", "a.b.", "_dns.x-1.test"],
  parse: parseDomain,
  check(name) {
    if (name === undefined) return;
    assertMatch(name, /^[a-z0-9_][a-z0-9._-]*$/);
    assertEquals(parseDomain(name), name);
  },
});

const WORDS = (OPTIONS as readonly Option[]).flatMap(({ long, short }) => [
  ` --${long}`,
  ` --${long}=`,
  ...(short ? [` -${short}`] : []),
]);

fuzz("parseCommandLine()", {
  samples: [
    "-t ssh-3 root@server 192.168.0.0/16 default",
    "-D --dns 10.0.0.53,fd00::1 --dns-domain ~corp.example h",
    "-dfi any:10.1.0.2 --mtu=1400 -x 10.0.0.0/8 -- h default",
    "-S tun0",
    "-l",
    "--check -t ppp root@server",
    "--reconnect=tun0",
  ],
  pieces: [...WORDS, " ", " h", " tun0", " 10.0.0.0/8", "=", ","],
  parse: (text) => parseCommandLine(text.split(" "), "-p 22"),
  check: ({ command }) => assertEquals(typeof command.action, "string"),
});

fuzz("parseOptions()", {
  samples: ["h|default|ssh-3|10.0.0.53|corp.example|-p"],
  pieces: ["|"],
  parse(text) {
    const [host = "", route = "", type = "", dns = "", domain = "", arg = ""] =
      text.split("|");
    return parseOptions(host, {
      ...{ routes: [route], type, dns: [dns], dnsDomains: [domain] },
      sshArgs: [arg, "2"],
    });
  },
  check: ({ host, routes }) => {
    assertEquals(parseHost(host), host);
    assertEquals(routes.length, 1);
  },
});

fuzz("parseProfile()", {
  samples: [
    "# work\nhost root@server\nroute 10.0.0.0/8 default\ntype = ssh-3\n",
    "host h\ninherit-dns\nssh-args -i 'my key'\nmtu 1400\r\n",
  ],
  pieces: WORDS.map((word) => word.replace(/^ -+/, "\n")),
  parse(text) {
    const { args, sshArgs } = parseProfile(text, "/etc/pvpn/x.conf");
    return parseCommandLine(args, sshArgs);
  },
  check: ({ command }) => assertEquals(command.action, "connect"),
});

const ODD_VALUES: readonly unknown[] = [
  ...[null, true, 0, -1, 1e21, "", "-x", "a b", "a\n", "\x1b", [], {}],
  ...[undefined, STATE.undo, JSON.parse('{"__proto__": {"kind": "process"}}')],
  { kind: "ip", family: 4, object: "link", words: ["group", "0"] },
  { kind: "file", path: "/run/../etc/passwd" },
];

/** The same value, but for one part of it. */
function changed(seeded: Seeded, value: unknown): unknown {
  if (seeded.below(5) === 0) return seeded.pick(ODD_VALUES);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  const chosen = seeded.below(entries.length + 1);
  const parts = entries.map(([key, part], i) =>
    [key, i === chosen ? changed(seeded, part) : part] as const
  );
  if (Array.isArray(value)) return parts.map(([, part]) => part);
  return Object.fromEntries(parts.slice(seeded.below(8) === 0 ? 1 : 0));
}

let taken = 0;
fuzz("parseState()", {
  samples: [JSON.stringify(STATE)],
  make: (seeded) => JSON.stringify(changed(seeded, STATE)) ?? "",
  parse: (text) => parseState(text, "tun0"),
  check(state: TunnelState) {
    taken++;
    assertEquals([state.version, state.device], [1, "tun0"]);
    assertEquals(parseState(JSON.stringify(state), "tun0"), state);
    for (const undo of state.undo) {
      if (undo.kind === "process") assert(undo.pid > 1);
      else if (undo.kind === "file") assertMatch(undo.path, /^\/run\/[\w.-]+$/);
      else if (undo.kind === "resolver") assertEquals(undo.device, "tun0");
      else for (const word of undo.words) assertMatch(word, /^[^\s;]+$/);
    }
  },
});

Deno.test("parseState() took some of what it was given", () => {
  assert(taken > 50, `${taken}`);
});
