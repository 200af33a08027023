/**
 * The command line: one table, from which parsing and `--help` derive.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { parseRoute } from "./address.ts";
import type { ConnectRequest } from "./connect.ts";
import { UsageError } from "./errors.ts";
import { parsePairRequest } from "./pair.ts";
import { DEFAULT_TYPE } from "./registry.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { parseHost } from "./ssh.ts";
import { parseSshArgs } from "./ssh_args.ts";

/** An option of the command line. */
export interface Option {
  /** The name behind `--`. */
  readonly long: string;
  /** The letter behind `-`. */
  readonly short?: string;
  /** What its value is called; without it, it takes none. */
  readonly value?: string;
  /** Whether the value may be left out. */
  readonly optional?: boolean;
  /** What it does, in one or two lines. */
  readonly help: string;
  /** Under which heading `--help` lists it; not at all without. */
  readonly group?: "connect" | "tunnels" | "general";
}

/** All options. */
export const OPTIONS = [
  {
    long: "type",
    short: "t",
    value: "TYPE",
    help: `tunnel type (default ${DEFAULT_TYPE}); see below`,
    group: "connect",
  },
  {
    long: "ip",
    short: "i",
    value: "IP1:IP2",
    help: "addresses of this end and of the server's;\n" +
      "any chooses a free one (default any:any)",
    group: "connect",
  },
  {
    long: "first-ssh-hop",
    short: "s",
    value: "HOST",
    help: "the SSH server that packets really go to, if pvpn\n" +
      "cannot see it: behind a reverse tunnel",
    group: "connect",
  },
  {
    long: "mtu",
    value: "BYTES",
    help: "MTU of the tunnel, 576 to 16380 (default 1500)",
    group: "connect",
  },
  {
    long: "foreground",
    short: "f",
    help: "stay, and reconnect from here; ^C stops the tunnel",
    group: "connect",
  },
  {
    long: "dry-run",
    short: "n",
    help: "print the commands for both ends; change nothing",
    group: "connect",
  },
  {
    long: "stop",
    short: "S",
    value: "DEVICE",
    optional: true,
    help: "stop the tunnel DEVICE, or all tunnels",
    group: "tunnels",
  },
  { long: "list", short: "l", help: "list the tunnels", group: "tunnels" },
  {
    long: "debug",
    short: "d",
    help: "print every command that is run, on both ends",
    group: "general",
  },
  {
    long: "help",
    short: "h",
    help: "print this help",
    group: "general",
  },
  {
    long: "version",
    short: "v",
    help: "print the version",
    group: "general",
  },
  { long: "reconnect", value: "DEVICE", help: "what a keeper runs" },
] as const satisfies readonly Option[];

const TABLE: readonly Option[] = OPTIONS;

/** What the command line asks for. */
export type Command =
  | { readonly action: "help" | "version" | "list" }
  | { readonly action: "stop"; readonly device: string | undefined }
  | { readonly action: "reconnect"; readonly device: string }
  | {
    readonly action: "connect";
    readonly request: ConnectRequest;
    readonly dryRun: boolean;
  };

/** A command line that was understood. */
export interface CommandLine {
  /** What to do. */
  readonly command: Command;
  /** `-d`. */
  readonly debug: boolean;
}

// The smallest MTU that IPv4 hosts must take (RFC 791), and the largest frame
// that ssh reads whole: CHAN_RBUF in OpenSSH's channels.h, less its header.
const MIN_MTU = 576;
const MAX_MTU = 16380;
const DEFAULT_MTU = 1500;

const flag = ({ long, short }: Option) =>
  short === undefined ? `--${long}` : `-${short}, --${long}`;

/** Splits `-tssh-3` into `-t ssh-3`, as getopt(3) does. */
function splitAttached(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.flatMap((arg, index) => {
    if (end >= 0 && index >= end) return [arg];
    const [, letter, value] = /^-([a-zA-Z])([^=].*)$/.exec(arg) ?? [];
    const option = TABLE.find(({ short }) => short === letter);
    return letter !== undefined && value !== undefined &&
        option?.value !== undefined
      ? [`-${letter}`, value]
      : [arg];
  });
}

/** The number of edits between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    }
    row = next;
  }
  return row[b.length]!;
}

function unknownOption(arg: string): UsageError {
  const name = arg.replace(/=.*$/, "");
  const near = TABLE.filter(({ group }) => group !== undefined)
    .map(({ long }) => `--${long}`)
    .find((long) => name.startsWith("--") && distance(name, long) <= 2);
  return new UsageError(
    `unknown option "${name}"`,
    near === undefined
      ? "type pvpn --help for the options"
      : `did you mean ${near}?`,
  );
}

/**
 * Parses the command line.
 *
 * @param args The arguments, without the program's name.
 * @param sshArgs The value of `SSH_ARGS`.
 * @throws {UsageError} Where it cannot be understood.
 */
export function parseCommandLine(
  args: readonly string[],
  sshArgs: string | undefined,
): CommandLine {
  const isFlag = ({ value }: Option) => value === undefined;
  const parsed = parseArgs(splitAttached(args), {
    boolean: TABLE.filter(isFlag).map(({ long }) => long),
    string: ["_", ...TABLE.filter((o) => !isFlag(o)).map(({ long }) => long)],
    alias: Object.fromEntries(
      TABLE.flatMap(({ long, short }) => short ? [[long, short]] : []),
    ),
    unknown: (arg, key) => {
      if (key !== undefined) throw unknownOption(arg);
    },
  });
  const values = parsed as Readonly<Record<string, unknown>>;
  const value = (long: string): string | undefined => {
    const given = values[long];
    if (given === undefined) return undefined;
    const option = TABLE.find((o) => o.long === long)!;
    if (typeof given !== "string" || given === "" && !option.optional) {
      throw new UsageError(`${flag(option)} needs its value: ${option.value}`);
    }
    return given;
  };
  const debug = values.debug === true;
  const words = parsed._.map(String);
  for (const action of ["help", "version"] as const) {
    if (values[action] === true) return { command: { action }, debug };
  }
  const none = (why: string) => {
    if (words.length === 0) return;
    throw new UsageError(`"${words[0]}" cannot be there: ${why}`);
  };
  if (values.list === true) {
    none("--list takes no argument");
    return { command: { action: "list" }, debug };
  }
  for (const action of ["stop", "reconnect"] as const) {
    const given = value(action);
    if (given === undefined) continue;
    none(`--${action} takes one DEVICE`);
    if (given !== "" && !DEVICE_REGEXP.test(given)) {
      throw new UsageError(
        `"${given}" is not a device`,
        "see pvpn --list for the devices",
      );
    }
    return action === "stop"
      ? { command: { action, device: given || undefined }, debug }
      : { command: { action, device: given }, debug };
  }
  const [host, ...routes] = words;
  if (host === undefined) {
    throw new UsageError("SSH-HOST is missing", "type pvpn --help for usage");
  }
  const firstHop = value("first-ssh-hop");
  const request: ConnectRequest = {
    type: value("type") ?? DEFAULT_TYPE,
    host: parseHost(host),
    sshArgs: parseSshArgs(sshArgs ?? ""),
    routes: uniqueRoutes(routes),
    pair: parsePairRequest(value("ip") ?? "any:any"),
    mtu: parseMtu(value("mtu")),
    foreground: values.foreground === true,
    ...(firstHop === undefined ? {} : { firstHop }),
  };
  const dryRun = values["dry-run"] === true;
  return { command: { action: "connect", request, dryRun }, debug };
}

function uniqueRoutes(texts: readonly string[]): ConnectRequest["routes"] {
  const routes = texts.map((text) => {
    const route = parseRoute(text);
    if (route !== "default" && route.family === 6) {
      throw new UsageError(
        `"${text}" is IPv6, which pvpn does not tunnel yet`,
      );
    }
    return route;
  });
  const seen = new Set<string>();
  return routes.filter((route) => {
    const key = route === "default"
      ? route
      : `${route.value.toString(16)}/${route.length}`;
    return !seen.has(key) && seen.add(key);
  });
}

function parseMtu(text: string | undefined): number {
  if (text === undefined) return DEFAULT_MTU;
  const mtu = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (mtu >= MIN_MTU && mtu <= MAX_MTU) return mtu;
  throw new UsageError(
    `--mtu ${text} is not a number from ${MIN_MTU} to ${MAX_MTU}`,
    "below, IPv4 does not work; above, ssh loses every packet",
  );
}

/** The text of `--help`. */
export function helpText(
  types: readonly { readonly type: string; readonly summary: string }[],
): string {
  const lines = (group: Option["group"]) =>
    TABLE.filter((option) => option.group === group).map((option) => {
      const { short, long, value, optional, help } = option;
      const shown = optional ? `[${value}]` : value;
      const left = `  ${short ? `-${short}, ` : "    "}--${long}` +
        (value ? ` ${shown}` : "");
      const right = help.split("\n").join(`\n${" ".repeat(30)}`);
      return left.length > 28
        ? `${left}\n${" ".repeat(30)}${right}`
        : left.padEnd(30) + right;
    }).join("\n");
  const known = types.map(({ type, summary }) =>
    `  ${type.padEnd(28)}${summary}`
  ).join("\n");
  return `Usage: pvpn [OPTION]... SSH-HOST [ROUTE]...
       pvpn --stop [DEVICE] | --list
A VPN through any SSH server: routes networks through SSH-HOST.

SSH-HOST is [USER@]HOST as for ssh, a name in ~/.ssh/config included.
ROUTE is a network such as 192.168.0.0/16, an address, or default.
SSH_ARGS in the environment holds more options for ssh.

Connecting:
${lines("connect")}

Tunnels:
${lines("tunnels")}

General:
${lines("general")}

Types:
${known}

Examples:
  pvpn -t ssh-3 root@proxy default          all traffic, on public Wi-Fi
  pvpn -t ssh-3 root@work 192.168.0.0/16    a private network
  pvpn -S tun0                              stop that tunnel

See pvpn(8) for all of it.
`;
}
