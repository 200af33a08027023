/**
 * Resolvers and domain names: parsed once at the door, whether they were
 * typed or come from a server's files.
 *
 * @module
 */
import { type Address, contains, parsePrefix, type Prefix } from "./address.ts";

/** Whom to ask for names, and what to try behind a short one. */
export interface Resolvers {
  /** The resolvers, best first. */
  readonly addresses: readonly Address[];
  /** The domains in which names are searched, best first. */
  readonly domains: readonly string[];
}

/** What a server says of the resolvers that it uses itself. */
export interface ServerResolvers extends Resolvers {
  /** What stood where an address or a domain should: left out. */
  readonly nonsense: readonly string[];
  /** The resolver on the server itself, where nobody else is known. */
  readonly stub?: string;
}

const prefix = (text: string): Prefix =>
  parsePrefix(text, text.includes(":") ? 6 : 4)!;

/** Addresses that no resolver has for others; RFC 6890, RFC 4291, RFC 1122. */
const UNUSABLE: readonly (readonly [Prefix, string])[] = [
  [prefix("0.0.0.0/8"), "means the host itself"],
  [prefix("127.0.0.0/8"), "means the host itself"],
  [prefix("224.0.0.0/4"), "is a group, not a host"],
  [prefix("240.0.0.0/4"), "is no host's address"],
  [prefix("::/127"), "means the host itself"],
  [prefix("::ffff:0:0/96"), "is an IPv4 address in disguise"],
  // Routers must not forward these (RFC 4291, 2.5.6). IPv4's 169.254.0.0/16
  // is another matter: clouds have their resolver there, and Linux routes it.
  [prefix("fe80::/10"), "is known on its own link only"],
  [prefix("ff00::/8"), "is a group, not a host"],
];

/**
 * Why an address cannot be asked through a tunnel.
 *
 * @returns `undefined` where it can.
 */
export function unusable(address: Address): string | undefined {
  return UNUSABLE.find(([prefix]) => contains(prefix, address))?.[1];
}

const LABEL_REGEXP = /^[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$/;

/**
 * Parses a domain name (RFC 1035, 2.3.1 and 2.3.4; digits may come first by
 * RFC 1123, and underscores are used by RFC 8552).
 *
 * @returns The name in lower case, without the dot at its end; `undefined`
 * where `text` is not one, or is the root.
 */
export function parseDomain(text: string): string | undefined {
  const name = text.replace(/\.$/, "");
  const good = name.length <= 253 &&
    name.split(".").every((label) => LABEL_REGEXP.test(label));
  return good ? name.toLowerCase() : undefined;
}

/** Whether a name is a domain, or lies in it. */
export function inDomain(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}
