/**
 * The command line: arguments to what they ask for, by the option table.
 *
 * @module
 */
import { parseRoute } from "./address.ts";
import type { ConnectRequest } from "./connect.ts";
import { UsageError } from "./errors.ts";
import { type Split, split } from "./getopt.ts";
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
  | { readonly action: "help" | "version" | "list" | "types" }
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

/** Puts a profile where its name was typed; an option that was typed wins. */
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
  const given = Object.entries(typed.values).filter(([, value]) =>
    value !== undefined && value !== false
  );
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
  const debug = values.debug === true;
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
  for (const action of ["list", "types"] as const) {
    if (values[action] !== true) continue;
    none(`--${action} takes no argument`);
    return { command: { action }, debug };
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
  const profile = words[0]?.startsWith("@")
    ? profiles(words[0].slice(1))
    : undefined;
  if (profile !== undefined) {
    ({ values, words } = merge({ values, words }, profile));
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
    // What ssh reads first wins.
    sshArgs: [sshArgs, profile?.sshArgs].flatMap((text) =>
      parseSshArgs(text ?? "")
    ),
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
