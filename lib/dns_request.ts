/**
 * What `-D`, `--dns` and `--dns-domain` ask for.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress } from "./address.ts";
import { UsageError } from "./errors.ts";
import { parseDomain, unusable } from "./resolver.ts";

/** What a tunnel does for names. */
export interface DnsRequest {
  /** Whether the server's resolvers and search domains are used: `-D`. */
  readonly inherit: boolean;
  /** The resolvers that `--dns` names, instead of the server's. */
  readonly addresses: readonly Address[];
  /** What `--dns-domain` names: only what is in there is asked; else all. */
  readonly domains: readonly string[];
}

/** How many resolvers the C library asks: MAXNS in resolv.h. */
export const MAX_RESOLVERS = 3;
/** How many domains may be named. */
const MAX_DOMAINS = 32;

/**
 * Parses the options.
 *
 * @param inherit Whether `-D` was typed.
 * @param dns The value of `--dns`.
 * @param domains The values of `--dns-domain`.
 * @returns `undefined` where names are left alone.
 * @throws {UsageError} Where that cannot be.
 */
export function parseDnsRequest(
  inherit: boolean,
  dns: string | undefined,
  domains: readonly string[],
): DnsRequest | undefined {
  const addresses = unique(
    (dns?.split(",") ?? []).map(parseResolver),
    formatAddress,
  );
  if (addresses.length > MAX_RESOLVERS) {
    throw new UsageError(
      `--dns ${dns} names more than ${MAX_RESOLVERS} resolvers`,
      `programs ask no more than ${MAX_RESOLVERS}`,
    );
  }
  const names = unique(domains.map(parseDomainOption), (name) => name);
  if (names.length > MAX_DOMAINS) {
    throw new UsageError(`more than ${MAX_DOMAINS} times --dns-domain`);
  }
  if (inherit || addresses.length > 0) {
    return { inherit, addresses, domains: names };
  }
  if (names.length === 0) return undefined;
  throw new UsageError(
    `--dns-domain ${names[0]} lacks a resolver to send its names to`,
    "-D uses the server's resolvers, --dns ADDRESS one that you name",
  );
}

function unique<T>(all: readonly T[], key: (one: T) => string): T[] {
  return [...new Map(all.map((one) => [key(one), one])).values()];
}

function parseResolver(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) {
    throw new UsageError(
      `"${text}" is not the address of a resolver`,
      "--dns takes addresses, such as --dns 10.0.0.53,10.0.1.53",
    );
  }
  const why = unusable(address);
  if (why === undefined) return address;
  throw new UsageError(
    `the resolver ${text} cannot be asked through the tunnel: it ${why}`,
  );
}

function parseDomainOption(text: string): string {
  // Resolved's way of writing it, which others know.
  const name = parseDomain(text.replace(/^~/, ""));
  if (name !== undefined) return name;
  throw new UsageError(
    `"${text}" is not a domain`,
    "--dns-domain takes one such as corp.example; it can be repeated",
  );
}
