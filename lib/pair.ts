/**
 * The pairs of addresses that a tunnel has, one a family: one address on this
 * machine, one on the server.
 *
 * @module
 */
import {
  type Address,
  contains,
  formatAddress,
  host,
  overlaps,
  parseAddress,
  type Prefix,
} from "./address.ts";
import { ExitCode, PvpnError, UsageError } from "./errors.ts";

/** The two ends of a tunnel. */
export interface Pair {
  /** The address of this machine's end. */
  readonly local: Address;
  /** The address of the server's end. */
  readonly peer: Address;
}

/** What `-i` asked for; `any` is chosen. */
export interface PairRequest {
  /** This machine's end. */
  readonly local: Address | "any";
  /** The server's end. */
  readonly peer: Address | "any";
}

/** The text form of a pair: `LOCAL:PEER`. */
export function formatPair(pair: PairRequest): string {
  const half = (address: Address | "any") =>
    address === "any" ? address : formatAddress(address);
  return `${half(pair.local)}:${half(pair.peer)}`;
}

function parseHalf(text: string, whole: string): Address | "any" {
  if (text === "any") return text;
  const address = parseAddress(text);
  const first = address && Number(address.value >> 24n);
  // 0/8, 127/8 and everything from 224/4 up are no host's address (RFC 6890).
  const usable = first !== undefined && first !== 0 && first !== 127 &&
    first < 224;
  if (address?.family !== 4 || !usable) {
    throw new UsageError(
      `"${text}" in the pair "${whole}" is not a usable IPv4 address`,
      "a pair is IP1:IP2, such as 10.10.0.1:10.10.0.2; either may be any",
    );
  }
  return address;
}

/**
 * Parses the value of `-i`.
 *
 * @throws {UsageError} Where it is not `IP1:IP2` with IPv4 addresses or
 * `any`, or both are the same.
 */
export function parsePairRequest(text: string): PairRequest {
  const halves = text.split(":");
  const [local, peer] = halves;
  if (local === undefined || peer === undefined || halves.length !== 2) {
    throw new UsageError(
      `"${text}" is not a pair of IPv4 addresses`,
      "a pair is IP1:IP2, such as 10.10.0.1:10.10.0.2; either may be any",
    );
  }
  if (local !== "any" && local === peer) {
    throw new UsageError(`both ends of the pair "${text}" are the same`);
  }
  return { local: parseHalf(local, text), peer: parseHalf(peer, text) };
}

/**
 * A pair of a unique local network of its own: 40 random bits (RFC 4193,
 * 3.2.2), which collide with nothing.
 */
export function randomPair6(): Pair {
  const random = crypto.getRandomValues(new Uint8Array(5));
  const net = BigInt(`0xfd${random.toHex()}`) << 80n;
  const address = (end: bigint): Address => ({ family: 6, value: net | end });
  return { local: address(1n), peer: address(2n) };
}

/** The text form of an IPv6 pair in a state file: `LOCAL,PEER`. */
export function formatPair6({ local, peer }: Pair): string {
  return `${formatAddress(local)},${formatAddress(peer)}`;
}

/**
 * Reads what {@linkcode formatPair6} gives.
 *
 * @returns `undefined` where it is not a pair of unique local addresses.
 */
export function parsePair6(text: string): Pair | undefined {
  const [local, peer, ...more] = text.split(",").map(parseAddress);
  const unique = (address: Address | undefined): address is Address =>
    address?.family === 6 && address.value >> 121n === 0x7en;
  return unique(local) && unique(peer) && more.length === 0
    ? { local, peer }
    : undefined;
}

/** A random number from 0 up to, not including, `below`. */
function random(below: number): bigint {
  // 32 bits over at most 65,536 values: the bias is below 1 in 65,536.
  const [value = 0] = crypto.getRandomValues(new Uint32Array(1));
  return BigInt(value % below);
}

/**
 * Networks to choose from, in this order: 10.b.c as the manual says; then,
 * for machines that route all of 10/8 somewhere, the rest of RFC 1918.
 */
const POOLS: readonly (() => bigint)[] = [
  () => 10n << 16n | random(1 << 16),
  () => 172n << 16n | 16n + random(16) << 8n | random(256),
  () => 192n << 16n | 168n << 8n | random(256),
];

/** How many pairs of each pool are sent to the server to choose from. */
const PAIRS_PER_POOL = 2;
const TRIES_PER_POOL = 64;

/**
 * Pairs that satisfy `request` and collide with nothing here, best first, for
 * the server to take the first that collides with nothing there either.
 *
 * @param request What `-i` asked for.
 * @param taken Networks that this machine reaches by other ways.
 * @param routes Networks that the tunnel is for, two of whose addresses a
 * pair that is chosen must not hide; and what else it must not be of.
 * @throws {PvpnError} Where an address that was asked for is taken, or no
 * pair is free.
 */
export function candidatePairs(
  request: PairRequest,
  taken: readonly Prefix[],
  routes: readonly Prefix[],
): Pair[] {
  for (const half of [request.local, request.peer]) {
    if (half === "any") continue;
    const by = taken.find((prefix) => contains(prefix, half));
    if (by !== undefined) {
      throw new PvpnError(
        ExitCode.network,
        `the address ${formatAddress(half)} collides with the route to ` +
          `${formatAddress(by)}/${by.length} on this machine`,
        ["choose another pair with -i, or let one be chosen: -i any:any"],
      );
    }
  }
  if (request.local !== "any" && request.peer !== "any") {
    return [{ local: request.local, peer: request.peer }];
  }
  return chosenPairs(request, [...taken, ...routes]);
}

function chosenPairs(request: PairRequest, taken: readonly Prefix[]): Pair[] {
  const free = (address: Address) =>
    !taken.some((prefix) => overlaps(prefix, host(address)));
  const draw = (pool: () => bigint): Pair => {
    const net = pool() << 8n;
    const address = (end: bigint): Address => ({ family: 4, value: net | end });
    return {
      local: request.local === "any" ? address(1n) : request.local,
      peer: request.peer === "any" ? address(2n) : request.peer,
    };
  };
  const usable = ({ local, peer }: Pair) =>
    local.value !== peer.value &&
    (request.local !== "any" || free(local)) &&
    (request.peer !== "any" || free(peer));
  const pairs: Pair[] = [];
  for (const pool of POOLS) {
    const wanted = pairs.length + PAIRS_PER_POOL;
    for (let i = 0; i < TRIES_PER_POOL && pairs.length < wanted; i++) {
      const pair = draw(pool);
      if (usable(pair)) pairs.push(pair);
    }
  }
  if (pairs.length > 0) return pairs;
  throw new PvpnError(
    ExitCode.network,
    "no pair of private IPv4 addresses is free on this machine",
    ["name one with -i IP1:IP2"],
  );
}
