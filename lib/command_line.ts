/**
 * The command line: arguments to what they ask for, by the option table.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { parseRoute } from "./address.ts";
import type { ConnectRequest } from "./connect.ts";
import { UsageError } from "./errors.ts";
import { type Option, OPTIONS } from "./options.ts";
import { parsePairRequest } from "./pair.ts";
import { DEFAULT_TYPE } from "./registry.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { parseHost } from "./ssh.ts";
import { parseSshArgs } from "./ssh_args.ts";
import { parseUserName } from "./user.ts";

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

const flag = ({ long, short }: Option) =>
  short === undefined ? `--${long}` : `-${short}, --${long}`;

/**
 * Rewrites arguments to one long option each, as getopt(3) reads them:
 * `-dtssh-3` to `--debug=true --type ssh-3`.
 */
function longOptions(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.flatMap((arg, index) => {
    if (end >= 0 && index >= end || !/^-./.test(arg)) return [arg];
    return arg.startsWith("--") ? longOption(arg) : shortOptions(arg);
  });
}

function longOption(arg: string): string[] {
  const [, name, value] = /^--([^=]*)(?:=([^]*))?$/.exec(arg) ?? [];
  const option = OPTIONS.find(({ long }) => long === name);
  if (option === undefined) throw unknownOption(arg);
  if (option.value === undefined) {
    if (value === undefined) return [`--${name}=true`];
    throw new UsageError(`--${name} takes no value`);
  }
  if (value === "") throw new UsageError(`"${arg}" lacks its value`);
  return [arg];
}

function shortOptions(arg: string): string[] {
  const words: string[] = [];
  for (let at = 1; at < arg.length; at++) {
    const option = OPTIONS.find(({ short }) => short === arg[at]);
    if (option === undefined) throw unknownOption(arg);
    if (option.value === undefined) words.push(`--${option.long}=true`);
    else {
      const value = arg.slice(at + 1);
      words.push(`--${option.long}${value && `=${value.replace(/^=/, "")}`}`);
      break;
    }
  }
  return words;
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
  const near = OPTIONS.filter(({ group }) => group !== undefined)
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
  const parsed = parseArgs(longOptions(args), {
    boolean: OPTIONS.filter(isFlag).map(({ long }) => long),
    string: ["_", ...OPTIONS.filter((o) => !isFlag(o)).map(({ long }) => long)],
  });
  const values = parsed as Readonly<Record<string, unknown>>;
  const value = (long: string): string | undefined => {
    const given = values[long];
    if (given === undefined) return undefined;
    const option = OPTIONS.find((o) => o.long === long)!;
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
    const option = OPTIONS.find(({ group, long }) =>
      group === "connect" && ![undefined, false].includes(values[long] as false)
    );
    const extra = words[0] ?? (option && `--${option.long}`);
    if (extra === undefined) return;
    throw new UsageError(`"${extra}" cannot be there: ${why}`);
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
  const mtu = value("mtu");
  const firstHop = value("first-ssh-hop");
  const sshUser = value("ssh-user");
  const request: ConnectRequest = {
    type: value("type") ?? DEFAULT_TYPE,
    host: parseHost(host),
    sshArgs: parseSshArgs(sshArgs ?? ""),
    routes: uniqueRoutes(routes),
    pair: parsePairRequest(value("ip") ?? "any:any"),
    foreground: values.foreground === true,
    ...(mtu === undefined ? {} : { mtu: parseMtu(mtu) }),
    ...(firstHop === undefined ? {} : { firstHop }),
    ...(sshUser === undefined ? {} : { sshUser: parseUserName(sshUser) }),
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

function parseMtu(text: string): number {
  const mtu = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (mtu >= MIN_MTU && mtu <= MAX_MTU) return mtu;
  throw new UsageError(
    `--mtu ${text} is not a number from ${MIN_MTU} to ${MAX_MTU}`,
    "below, IPv4 does not work; above, ssh loses every packet",
  );
}
