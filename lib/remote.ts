/**
 * What the server's script says: `key=value` lines on ssh's stderr, each
 * behind the session's token, parsed into types.
 *
 * @module
 */
import {
  type Family,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "./address.ts";
import { ExitCode, PvpnError, UnfitError } from "./errors.ts";
import type { Pair } from "./pair.ts";
import type { RemoteRequest, RemoteScript } from "./remote_script.ts";
import {
  DOMAIN_LIMIT,
  parseTold,
  RESOLVER_LIMIT,
  RESOLVERS_PART,
} from "./resolv_conf.ts";
import type { ServerResolvers } from "./resolver.ts";

/** What the server's script found and did. */
export interface RemoteFacts {
  /** The server's device. */
  readonly device: string;
  /** The pair in use, from this machine's side. */
  readonly pair: Pair;
  /**
   * What IPv6 the server has for the tunnel: none; its own end; or a way for
   * packets to leave it by (a default route, and forwarding).
   */
  readonly ipv6: "none" | "peer" | "way";
  /** What the tunnel type's script told: all of its `reports`. */
  readonly told: Readonly<Record<string, string>>;
  /** The server's own resolvers, where it was asked for them. */
  readonly resolvers?: ServerResolvers;
  /**
   * Whether it forwards what comes out of its device; unknown in a dry run,
   * and of IPv6 where the tunnel has none.
   */
  readonly forwarding: Readonly<Partial<Record<Family, boolean>>>;
  /** The networks that it reaches, where that was asked. */
  readonly networks: readonly Prefix[];
}

/**
 * Keys that come once for each of several things, and of how many at most;
 * what a server repeats without end is not kept.
 */
const LISTS: ReadonlyMap<string, number> = new Map([
  ["network", 129],
  ["resolver", RESOLVER_LIMIT],
  ["domain", DOMAIN_LIMIT],
]);
/** How many keys that come once are kept. */
const KEYS = 16;

/** Device names that the kernel takes (dev_valid_name), minus odd ones. */
export const DEVICE_REGEXP = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/;

/**
 * Reads the lines that the server's script prints.
 *
 * @throws {PvpnError} From {@linkcode RemoteReader.read}: what the script
 * said went wrong, or an answer that makes no sense.
 */
export class RemoteReader {
  readonly #request: RemoteRequest;
  readonly #errors: NonNullable<RemoteScript["errors"]>;
  /** The type's own of these. */
  readonly #own: ReadonlySet<string>;
  readonly #reports: ReadonlyMap<string, RegExp>;
  readonly #values = new Map<string, string>();
  readonly #lists = new Map<string, string[]>();
  readonly #told = new Map<string, string>();

  /**
   * @param request What the script was sent with.
   * @param script What the tunnel type's own errors and reports are.
   */
  constructor(
    request: RemoteRequest,
    script: Pick<RemoteScript, "errors" | "reports"> = {},
  ) {
    this.#request = request;
    this.#reports = new Map(Object.entries(script.reports ?? {}));
    const parts = (request.parts ?? []).map((part) => part.errors ?? {});
    this.#errors = Object.assign({}, ERRORS, ...parts, script.errors);
    this.#own = new Set(["device", ...Object.keys(script.errors ?? {})]);
  }

  /**
   * Takes one line of ssh's stderr.
   *
   * @returns The facts when the line was the ready line, `true` when it was
   * another of the script's own, `false` when it was somebody else's.
   */
  read(line: string): RemoteFacts | boolean {
    const mark = this.#request.token + " ";
    if (!line.startsWith(mark)) return false;
    const text = line.slice(mark.length);
    if (text === "ready") return this.#facts();
    const [, key, value] = /^([a-z][a-z0-9]*)=(.{0,512})$/.exec(text) ?? [];
    if (key === "error") {
      throw remoteError(value ?? "", this.#errors, this.#own);
    }
    if (key === undefined || !this.#keep(key, value ?? "")) {
      throw nonsense(`the line "${text.slice(0, 64)}"`);
    }
    return true;
  }

  #keep(key: string, value: string): boolean {
    if (key === "own") return this.#tell(value);
    const limit = LISTS.get(key);
    if (limit === undefined) {
      this.#values.set(key, value);
      return this.#values.size <= KEYS;
    }
    const list = this.#lists.get(key) ?? [];
    this.#lists.set(key, list);
    return list.push(value) <= limit;
  }

  #tell(text: string): boolean {
    const [, key = "", value = ""] = /^(\S+) (.*)$/.exec(text) ?? [];
    this.#told.set(key, value);
    return this.#reports.get(key)?.test(value) === true;
  }

  #facts(): RemoteFacts {
    const device = this.#values.get("device") ?? "";
    if (!DEVICE_REGEXP.test(device)) {
      throw nonsense(`the device name "${device.slice(0, 64)}"`);
    }
    const local = parseAddress(this.#values.get("peer") ?? "");
    const peer = parseAddress(this.#values.get("local") ?? "");
    const offered = this.#request.pairs.find((pair) =>
      pair.local.value === local?.value && pair.peer.value === peer?.value
    );
    if (offered === undefined) throw nonsense("addresses that nobody offered");
    for (const key of this.#reports.keys()) {
      if (!this.#told.has(key)) throw nonsense(`no report "${key}"`);
    }
    const ipv6 = this.#values.get("ipv6") ?? "none";
    if (ipv6 !== "none" && ipv6 !== "peer" && ipv6 !== "way") {
      throw nonsense(`"${ipv6.slice(0, 64)}" as its IPv6`);
    }
    return {
      device,
      pair: offered,
      ipv6,
      told: Object.fromEntries(this.#told),
      ...this.#resolvers(),
      networks: (this.#lists.get("network") ?? []).map(parseNetwork),
      forwarding: {
        ...this.#forwards(4, "forwarding"),
        ...this.#forwards(6, "forwarding6"),
      },
    };
  }

  #resolvers(): { resolvers?: ServerResolvers } {
    if (!this.#request.parts?.includes(RESOLVERS_PART)) return {};
    const list = (key: string) => this.#lists.get(key) ?? [];
    const stub = this.#values.get("stub");
    const told = { resolver: list("resolver"), domain: list("domain"), stub };
    return { resolvers: parseTold(told) };
  }

  #forwards(family: Family, key: string): RemoteFacts["forwarding"] {
    const value = this.#values.get(key);
    if (value === undefined) return {};
    if (value === "0" || value === "1") return { [family]: value === "1" };
    throw nonsense(`${key} "${value.slice(0, 64)}"`);
  }
}

/** A network as the server's `ip` prints it: one address has no length. */
function parseNetwork(text: string): Prefix {
  const family = text.includes(":") ? 6 : 4;
  const prefix = text === "default" ? undefined : parsePrefix(text, family);
  if (prefix !== undefined) return prefix;
  throw nonsense(`the network "${text.slice(0, 64)}"`);
}

function nonsense(what: string): PvpnError {
  return new PvpnError(
    ExitCode.server,
    `the server answered the set-up with ${what}`,
    ["something changes the server's output on its way: see it with -d"],
  );
}

/** The server has no use for a pair; another may do. */
export class PairTakenError extends PvpnError {
  /** The class's name. */
  override readonly name = "PairTakenError";
}

/** What the script's `error=` lines mean. */
function remoteError(
  text: string,
  errors: NonNullable<RemoteScript["errors"]>,
  own: ReadonlySet<string>,
): PvpnError {
  const [what = "", ...rest] = text.split(" ");
  const [local, peer, ...by] = rest;
  if (what === "address" && by.length > 0) {
    return new PairTakenError(
      ExitCode.server,
      `the pair ${peer}:${local} collides with the route ` +
        `"${by.join(" ")}" on the server`,
      ["choose another pair with -i, or let one be chosen: -i any:any"],
    );
  }
  const detail = rest.join(" ");
  const known = new Map(Object.entries(errors)).get(what);
  const { message, hints } = known?.(detail) ??
    { message: `the server's set-up failed: ${text}`, hints: [] };
  return own.has(what)
    ? new UnfitError(ExitCode.server, message, hints)
    : new PvpnError(ExitCode.server, message, hints);
}

const ERRORS: NonNullable<RemoteScript["errors"]> = {
  missing: (program) => ({
    message: `the server has no "${program}" program`,
    hints: [
      "install it there; on Debian: apt install " +
      (program === "ip" ? "iproute2" : "util-linux"),
    ],
  }),
  device: (name) => ({
    message: `the server made no tunnel device (its name is "${name}")`,
    hints: [
      "sshd is too old for layer-3 tunnels, or something runs in its place " +
      "(a forced command?)",
    ],
  }),
  ip: (detail) => ({
    message: `the server could not set its end up: ${detail}`,
    hints: /not permitted|denied/.test(detail)
      ? ["log in as root (root@HOST), who may change the server's network"]
      : [],
  }),
};
