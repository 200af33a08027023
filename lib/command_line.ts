/**
 * The command line: arguments to what they ask for, by the option table.
 *
 * @module
 */
import {
  checkTogether,
  parseArgument,
  parseExclude,
  parseIpv6,
  parseMtu,
  parseParallel,
  uniqueRoutes,
} from "./arguments.ts";
import type { CheckRequest } from "./check.ts";
import type { ConnectRequest } from "./connect.ts";
import { parseDnsRequest } from "./dns_request.ts";
import { UsageError } from "./errors.ts";
import { isGiven, type Split, split } from "./getopt.ts";
import { type Option, OPTIONS } from "./options.ts";
import { parsePairRequest } from "./pair.ts";
import { type Profile, readProfile } from "./profile.ts";
import { DEFAULT_TYPE } from "./registry.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { parseHost } from "./ssh.ts";
import { parseSshArgs } from "./ssh_args.ts";
import { parseUserName } from "./user.ts";

/** What the command line asks for. */
export type Command =
  | { readonly action: "help" | "version" | "recover" | "types" }
  | {
    readonly action: "list";
    readonly json: boolean;
    readonly watch: boolean;
  }
  | {
    readonly action: "check";
    readonly request: CheckRequest;
    readonly json: boolean;
  }
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
  /** `-q`; `-d` says more. */
  readonly quiet: boolean;
}

/** Options that stand for something else than connecting. */
const ACTIONS = ["list", "check", "recover", "types", "stop", "reconnect"];

const flag = ({ long, short }: Option) =>
  short === undefined ? `--${long}` : `-${short}, --${long}`;

/**
 * Puts a profile where its name was typed. An option that was typed wins, or is
 * added where it may be repeated.
 */
function merge(typed: Split, profile: Profile): Split {
  try {
    // By itself, so that what is wrong in it is told of it.
    parseCommandLine(profile.args, profile.sshArgs, (name) => {
      throw new UsageError(`"@${name}" is not a host`);
    });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${profile.path}: ${error.message}`, ...error.hints);
  }
  const { values, words } = split(profile.args);
  const given = Object.entries(typed.values)
    .filter(([, value]) => isGiven(value))
    .map(([long, value]) => {
      const first = values[long];
      const both = Array.isArray(value) && Array.isArray(first);
      return [long, both ? [...first, ...value] : value];
    });
  return {
    values: { ...values, ...Object.fromEntries(given) },
    words: [...words, ...typed.words.slice(1)],
  };
}

/**
 * Parses the command line.
 *
 * @param args The arguments, without the program's name.
 * @param sshArgs The value of `SSH_ARGS`.
 * @param profiles Reads the profile of a name.
 * @throws {UsageError} Where it cannot be understood.
 */
export function parseCommandLine(
  args: readonly string[],
  sshArgs: string | undefined,
  profiles: (name: string) => Profile = readProfile,
): CommandLine {
  let { values, words } = split(args);
  const value = (long: string): string | undefined => {
    const given = values[long];
    if (given === undefined) return undefined;
    const option = OPTIONS.find((o) => o.long === long)!;
    if (typeof given !== "string" || given === "" && !option.optional) {
      throw new UsageError(`${flag(option)} needs its value: ${option.value}`);
    }
    return given;
  };
  const list = (long: string): string[] => {
    const given = values[long] as string[];
    if (!given.includes("")) return given;
    const option = OPTIONS.find((o) => o.long === long)!;
    throw new UsageError(`${flag(option)} needs its value: ${option.value}`);
  };
  const [debug, quiet] = [values.debug === true, values.quiet === true];
  for (const action of ["help", "version"] as const) {
    if (values[action] === true) return { command: { action }, debug, quiet };
  }
  const none = (why: string) => {
    const option = OPTIONS.find(({ group, long }) =>
      group === "connect" && isGiven(values[long])
    );
    const extra = words[0] ?? (option && `--${option.long}`);
    if (extra === undefined) return;
    throw new UsageError(`"${extra}" cannot be there: ${why}`);
  };
  const actions = ACTIONS.filter((action) => isGiven(values[action]));
  if (actions.length > 1) {
    const [one, other] = actions.map((action) => `--${action}`);
    throw new UsageError(`${one} and ${other} cannot be meant together`);
  }
  const [json, watch] = [values.json === true, values.watch === true];
  if (values.list === true) {
    none("--list takes no argument");
    return { command: { action: "list", json, watch }, debug, quiet };
  }
  const checking = values.check === true;
  if (watch || json && !checking) {
    throw new UsageError(
      `--${json ? "json" : "watch"} says how the tunnels are listed`,
      `type pvpn --list --${json ? "json" : "watch"}`,
    );
  }
  for (const action of ["recover", "types"] as const) {
    if (values[action] !== true) continue;
    none(`--${action} takes no argument`);
    return { command: { action }, debug, quiet };
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
      ? { command: { action, device: given || undefined }, debug, quiet }
      : { command: { action, device: given }, debug, quiet };
  }
  const profile = words[0]?.startsWith("@")
    ? profiles(words[0].slice(1))
    : undefined;
  if (profile !== undefined) {
    ({ values, words } = merge({ values, words }, profile));
  }
  const [host, ...routes] = words;
  const [type, mtu] = [value("type"), value("mtu")];
  const parallel = parseParallel(value("parallel") ?? "1");
  const firstHop = value("first-ssh-hop");
  const sshUser = value("ssh-user");
  const dns = parseDnsRequest(
    values["inherit-dns"] === true,
    value("dns"),
    list("dns-domain"),
  );
  const pair = parsePairRequest(value("ip") ?? "any:any");
  const ipv6 = parseIpv6(value("ipv6"));
  if (host === undefined && !checking) {
    throw new UsageError(
      "SSH-HOST is missing",
      "it is: pvpn [OPTION]... SSH-HOST [ROUTE]...; see pvpn --help",
    );
  }
  const request: ConnectRequest = {
    type: type ?? DEFAULT_TYPE,
    host: parseHost(host ?? "localhost"), // for --check of this machine
    // What ssh reads first wins.
    sshArgs: [sshArgs, profile?.sshArgs].flatMap((text) =>
      parseSshArgs(text ?? "")
    ),
    routes: uniqueRoutes(routes.map(parseArgument)),
    exclude: uniqueRoutes(list("exclude").map(parseExclude)),
    ipv6,
    fallback: values["allow-fallback"] === true,
    autoNets: values["auto-nets"] === true,
    nat: values.nat === true,
    pair,
    foreground: values.foreground === true,
    ...(mtu === undefined ? {} : { mtu: parseMtu(mtu) }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(firstHop === undefined ? {} : { firstHop }),
    ...(dns === undefined ? {} : { dns }),
    ...(sshUser === undefined ? {} : { sshUser: parseUserName(sshUser) }),
  };
  checkTogether(request);
  if (checking) {
    const { sshArgs } = request;
    const check: CheckRequest = {
      sshArgs,
      ...(host === undefined ? {} : { host: request.host }),
      ...(type === undefined ? {} : { type }),
      ...(sshUser === undefined ? {} : { sshUser }),
    };
    return { command: { action: "check", request: check, json }, debug, quiet };
  }
  const dryRun = values["dry-run"] === true;
  return { command: { action: "connect", request, dryRun }, debug, quiet };
}
