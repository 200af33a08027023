/**
 * What is written down of a tunnel, and how it is read back: state files are
 * input like any other, and nothing in them is ever executed.
 *
 * @module
 */
import { parseAddress, parseRoute } from "./address.ts";
import { type DnsState, isDns, isNames, type NamesState } from "./dns_state.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { parsePair6, parsePairRequest } from "./pair.ts";
import type { ProcessId } from "./process.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { isPriority, metricOf, tableOf } from "./route_numbers.ts";
import { parseHost } from "./ssh.ts";
import { checkSshArgs } from "./ssh_args.ts";
import { closedLink } from "./resolver_step.ts";
import { parseUndoStep, type UndoStep } from "./undo_step.ts";
import { isUser, type User } from "./user.ts";

/** The version of the state file's form. */
export const STATE_VERSION = 1;

/** Where a tunnel stands. */
export type Phase = typeof PHASES[number];

/** All values of {@linkcode Phase}. */
export const PHASES = ["connecting", "up", "reconnecting", "stopping"] as const;

/**
 * Whether a tunnel whose pvpn has died is undone, because it was not up yet or
 * was not to be up any more; others hold their routes closed.
 */
export function isTransient({ phase }: Pick<TunnelState, "phase">): boolean {
  return phase === "connecting" || phase === "stopping";
}

/** The smallest MTU with which there is IPv6, in bytes (RFC 8200). */
export const MIN_MTU_6 = 1280;

/** What becomes of IPv6 under `default`. */
export type Ipv6Mode = typeof IPV6_MODES[number];

/** The values of `--ipv6`. */
export const IPV6_MODES = ["tunnel", "block", "leave"] as const;

/** The real peer of the ssh process. */
export interface Server {
  /** Its IP address. */
  readonly address: string;
  /** Its TCP port; without it, all of the address stays outside. */
  readonly port?: number;
}

/** What `-N` chose. */
export interface FoundNetworks {
  /** Networks to route. */
  readonly routes: readonly string[];
  /** What of these is not: this machine's own. */
  readonly exclude: readonly string[];
}

/** What is written down of a tunnel. */
export interface TunnelState {
  /** {@linkcode STATE_VERSION}. */
  readonly version: typeof STATE_VERSION;
  /** This machine's device. */
  readonly device: string;
  /** The word after `-t`. */
  readonly type: string;
  /** The file that the type was loaded from, where the program has it not. */
  readonly plugin?: string;
  /** SSH-HOST. */
  readonly host: string;
  /** The words of `SSH_ARGS`. */
  readonly sshArgs: readonly string[];
  /** ROUTEs, as typed. */
  readonly routes: readonly string[];
  /** What `-x` named: parts of the routes that are not the tunnel's. */
  readonly exclude: readonly string[];
  /** What `--ipv6` says. */
  readonly ipv6: Ipv6Mode;
  /** The IPv6 pair, `LOCAL,PEER`, where the tunnel is to carry IPv6. */
  readonly pair6?: string;
  /** Whether the routes open while the tunnel is down. */
  readonly fallback: boolean;
  /** Whether `-N` adds networks of the server's to the routes. */
  readonly autoNets: boolean;
  /** What `-N` chose, for as long as the tunnel lives. */
  readonly found?: FoundNetworks;
  /** Whether the server forwards and masquerades for it: `--nat`. */
  readonly nat: boolean;
  /** MTU of the device, in bytes. */
  readonly mtu: number;
  /** MTU of what goes beyond the server, in bytes, where that is less. */
  readonly beyondMtu?: number;
  /** How many ssh processes carry it; one, without. */
  readonly parallel?: number;
  /**
   * A number that no other tunnel has at the same time: of its routing
   * table, its rules' priorities and its routes' metric.
   */
  readonly slot: number;
  /** Where it stands. */
  readonly phase: Phase;
  /** The pvpn process that is at work on it, if one is. */
  readonly owner?: ProcessId;
  /** The pair in use, `LOCAL:PEER`; until it is, what `-i` asked for. */
  readonly pair?: string;
  /** Until one is in use: the pairs that the server may choose from. */
  readonly pairs?: readonly string[];
  /** What is done for names; without it, nothing. */
  readonly dns?: DnsState;
  /** How that is done. */
  readonly names?: NamesState;
  /** What `-s` named, as an address. */
  readonly firstHop?: string;
  /** Whom ssh runs as, where that is not root. */
  readonly user?: User;
  /** The real peer of the ssh process. */
  readonly server?: Server;
  /** When it was up last: ISO 8601. */
  readonly since?: string;
  /** How often it came back. */
  readonly reconnects: number;
  /** Why it is not up. */
  readonly problem?: string;
  /** How to take back all that was changed, in the order of the changes. */
  readonly undo: readonly UndoStep[];
}

/** All that goes through a tunnel: what was named, and what `-N` chose. */
export function routesOf(
  { routes, found }: Pick<TunnelState, "routes" | "found">,
): string[] {
  return [...routes, ...found?.routes ?? []];
}

/** All parts of a tunnel's routes that are not the tunnel's. */
export function excludedOf(
  { exclude, found }: Pick<TunnelState, "exclude" | "found">,
): string[] {
  return [...exclude, ...found?.exclude ?? []];
}

/** The parts of a value that are checked one by one. */
type Fields = Record<string, unknown>;

const isText = (value: unknown): value is string =>
  typeof value === "string" && value.length <= 4096 &&
  // deno-lint-ignore no-control-regex
  !/[\x00-\x08\x0b-\x1f\x7f]/.test(value);
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isText);
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
const isServer = (value: unknown): boolean => {
  const { address, port } = (value ?? {}) as Fields;
  return isText(address) && parseAddress(address) !== undefined &&
    (port === undefined || isCount(port) && port > 0 && port < 65536);
};
const isProcess = (value: unknown): boolean =>
  parseUndoStep({ ...(value as object), kind: "process" }) !== undefined;
/** Whether a parser of the command line takes a value. */
const accepted = (parse: (text: string) => unknown) => (value: unknown) => {
  try {
    return isText(value) && parse(value) !== undefined;
  } catch (error) {
    if (error instanceof PvpnError) return false;
    throw error;
  }
};
const optional = (check: (value: unknown) => boolean) => (value: unknown) =>
  value === undefined || check(value);

const CHECKS: Readonly<
  Record<keyof TunnelState, (value: unknown) => boolean>
> = {
  version: (value) => value === STATE_VERSION,
  device: (value) => isText(value) && DEVICE_REGEXP.test(value),
  type: (value) => isText(value) && /^[a-z0-9-]+$/.test(value),
  plugin: optional((value) => isText(value) && /^\/.+\.js$/.test(value)),
  host: accepted(parseHost),
  sshArgs: (value) => isTexts(value) && accepted(() => checkSshArgs(value))(""),
  routes: (value) => isTexts(value) && value.every(accepted(parseRoute)),
  exclude: (value) =>
    isTexts(value) &&
    value.every((text) => text !== "default" && accepted(parseRoute)(text)),
  ipv6: (value) => (IPV6_MODES as readonly unknown[]).includes(value),
  pair6: optional((value) => isText(value) && parsePair6(value) !== undefined),
  fallback: (value) => typeof value === "boolean",
  autoNets: (value) => typeof value === "boolean",
  found: optional((value) => {
    const { routes, exclude } = (value ?? {}) as Fields;
    return [routes, exclude].every((list) =>
      isTexts(list) &&
      list.every((text) => text !== "default" && accepted(parseRoute)(text))
    );
  }),
  nat: (value) => typeof value === "boolean",
  mtu: isCount,
  beyondMtu: optional(isCount),
  parallel: optional(isCount),
  slot: isCount,
  phase: (value) => (PHASES as readonly unknown[]).includes(value),
  owner: optional(isProcess),
  pair: optional(accepted(parsePairRequest)),
  pairs: optional((value) =>
    isTexts(value) && value.every(accepted(parsePairRequest))
  ),
  dns: optional(isDns),
  names: optional(isNames),
  firstHop: optional((value) =>
    isText(value) && parseAddress(value) !== undefined
  ),
  user: optional((value) => isUser(value) && value.uid !== 0),
  server: optional(isServer),
  since: optional(isText),
  reconnects: isCount,
  problem: optional(isText),
  undo: (value) =>
    Array.isArray(value) &&
    value.every((step) => parseUndoStep(step) !== undefined),
};

/**
 * Reads a state file's text.
 *
 * @param text What is in the file.
 * @param device The device that the file is named after.
 * @throws {PvpnError} Where it is not one that this version wrote; it names
 * the first part that is wrong.
 */
export function parseState(text: string, device: string): TunnelState {
  const broken = (why: string, options?: ErrorOptions) =>
    new PvpnError(ExitCode.state, `the state of "${device}" ${why}`, [
      `see what is left: ip address show dev ${device}; ip rule`,
      `when nothing is, or a reboot has been: rm /run/pvpn/${device}.json`,
    ], options);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw broken("is not JSON", { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw broken("is not an object");
  }
  const fields = value as Fields;
  if (fields.version !== STATE_VERSION) {
    throw broken("was written by another version of pvpn");
  }
  for (const [key, check] of Object.entries(CHECKS)) {
    if (!check(fields[key])) throw broken(`has a "${key}" that makes no sense`);
  }
  if (fields.device !== device) throw broken("is that of another device");
  const state = fields as unknown as TunnelState;
  if (!state.undo.every((step) => isOwn(step, state))) {
    throw broken('has an "undo" of something that is not its own');
  }
  return state;
}

/** Whether a step takes back what pvpn adds, and nothing else on a machine. */
function isOwn(step: UndoStep, { device, slot }: TunnelState): boolean {
  if (step.kind === "resolver") return step.device === device;
  if (step.kind !== "ip") return true; // known by its start time; below /run
  const { object, words } = step;
  const value = (key: string) => words[words.indexOf(key) + 1] ?? "";
  const table = words.includes("table") &&
    value("table") === `${tableOf(slot)}`;
  switch (object) {
    case "link":
      return [device, closedLink(device)].includes(value("dev"));
    case "rule":
      return words[0] === "priority" && isPriority(Number(words[1]));
    case "route":
      return table || words.includes("dev") && value("dev") === device ||
        words.includes("metric") && value("metric") === `${metricOf(slot)}`;
  }
}
