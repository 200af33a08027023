/**
 * IP addresses, prefixes and pairs: parsed once at the door, compared as
 * numbers after that.
 *
 * @module
 */
import { UsageError } from "./errors.ts";

/** IPv4 or IPv6. */
export type Family = 4 | 6;

/** An IP address. */
export interface Address {
  /** IPv4 or IPv6. */
  readonly family: Family;
  /** The 32 or 128 bits of the address. */
  readonly value: bigint;
}

/** A network: an address whose bits behind `length` are zero. */
export interface Prefix extends Address {
  /** The number of leading bits that count: 0 to 32, or to 128. */
  readonly length: number;
}

/** What a ROUTE argument means. */
export type Route = "default" | Prefix;

const DECIMAL_REGEXP = /^(0|[1-9]\d{0,2})$/;

/**
 * Parses an address in its usual text form (RFC 5952 for IPv6, no zone).
 *
 * @returns The address, or `undefined` where `text` is not one. Forms that
 * only some programs read as an address, such as `0x7f.1` or `010.0.0.1`,
 * are not accepted: they would mean something else to `ip`.
 */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

function parseIPv4(text: string): Address | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!DECIMAL_REGEXP.test(part) || Number(part) > 255) return undefined;
    value = value << 8n | BigInt(part);
  }
  return { family: 4, value };
}

function parseIPv6(text: string): Address | undefined {
  // The URL standard's own parser checks and canonicalises; what is left to
  // do is to fill in `::`.
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) return undefined;
  const url = URL.parse(`http://[${text}]/`);
  if (url === null) return undefined;
  const [head = "", tail] = url.hostname.slice(1, -1).split("::");
  const groups = (part: string) => part === "" ? [] : part.split(":");
  const first = groups(head);
  const last = groups(tail ?? "");
  const zeros = Array(8 - first.length - last.length).fill("0");
  const all = [...first, ...zeros, ...last];
  return {
    family: 6,
    value: all.reduce((sum, g) => sum << 16n | BigInt(`0x${g}`), 0n),
  };
}

/** The text form of an address, as `ip` prints it. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => value >> shift & 255n).join(".");
  }
  const groups = Array.from(
    { length: 8 },
    (_, i) => (value >> BigInt(112 - 16 * i) & 0xffffn).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** The number of bits in an address of `family`. */
export function bits(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The prefix of all addresses whose first `length` bits are `address`'s. */
export function network(address: Address, length: number): Prefix {
  const host = BigInt(bits(address.family) - length);
  return { ...address, value: address.value >> host << host, length };
}

/** The prefix that holds `address` alone. */
export function host(address: Address): Prefix {
  return network(address, bits(address.family));
}

/** Whether `inner`, an address or a prefix, lies wholly inside `outer`. */
export function contains(outer: Prefix, inner: Address | Prefix): boolean {
  const length = "length" in inner ? inner.length : bits(inner.family);
  return outer.family === inner.family && outer.length <= length &&
    network(inner, outer.length).value === outer.value;
}

/** Whether two prefixes have an address in common. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return contains(a, b) || contains(b, a);
}

/** The text form of a prefix, always with its length. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix)}/${prefix.length}`;
}

/** Splits a prefix, or an address as the prefix that holds it alone. */
function parseBits(
  text: string,
): { address: Address; length: number } | undefined {
  const [ip = "", length, ...rest] = text.split("/");
  const address = parseAddress(ip);
  if (address === undefined || rest.length > 0) return undefined;
  if (length === undefined) return { address, length: bits(address.family) };
  if (!DECIMAL_REGEXP.test(length) || Number(length) > bits(address.family)) {
    return undefined;
  }
  return { address, length: Number(length) };
}

/**
 * Parses a prefix as `ip -json` prints it, where `default` is 0.0.0.0/0.
 *
 * @returns The prefix, or `undefined` where `text` is not one.
 */
export function parsePrefix(text: string, family: Family): Prefix | undefined {
  if (text === "default") return { family, value: 0n, length: 0 };
  const parsed = parseBits(text);
  return parsed && network(parsed.address, parsed.length);
}

/**
 * Parses a ROUTE argument: a network in CIDR form (RFC 4632, RFC 4291), an
 * address, or `default`. `0.0.0.0/0` is `default`.
 *
 * @throws {UsageError} Where `text` is none of these, or has bits set behind
 * its prefix length (`ip route add` would refuse it too).
 */
export function parseRoute(text: string): Route {
  if (text === "default" || text === "0.0.0.0/0") return "default";
  const parsed = parseBits(text);
  if (!parsed) {
    throw new UsageError(
      `"${text}" is not a route`,
      "a ROUTE is a network such as 192.168.0.0/16, an address, or default",
    );
  }
  const prefix = network(parsed.address, parsed.length);
  if (prefix.value !== parsed.address.value) {
    throw new UsageError(
      `"${text}" is not a network: it has bits set behind its prefix length`,
      `for the network type ${formatPrefix(prefix)}, ` +
        `for the one address ${formatAddress(parsed.address)}`,
    );
  }
  if (prefix.length === 0) {
    throw new UsageError(
      `"${text}" cannot be routed by itself`,
      "type default, which covers both families",
    );
  }
  return prefix;
}

/** The text form of a route, as it is typed. */
export function formatRoute(route: Route): string {
  if (route === "default") return route;
  return route.length === bits(route.family)
    ? formatAddress(route)
    : formatPrefix(route);
}
