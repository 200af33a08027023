/**
 * What is written down of a tunnel's names; see {@linkcode TunnelState}.
 *
 * @module
 */
import { parseAddress } from "./address.ts";
import { parseDomain, unusable } from "./resolver.ts";
import { type Owner, OWNERS } from "./resolver_step.ts";

/** What was asked for. */
export interface DnsState {
  /** Whether the server is asked for its resolvers and domains: `-D`. */
  readonly inherit: boolean;
  /** The resolvers that `--dns` named. */
  readonly addresses: readonly string[];
  /** The domains that `--dns-domain` named; all names, without. */
  readonly domains: readonly string[];
}

/** What came of it on this machine. */
export interface NamesState {
  /** Who is told of the resolvers. */
  readonly owners: readonly Owner[];
  /** Whether nftables closes all other ways for names. */
  readonly guard: boolean;
  /** What they were told. */
  readonly inUse?: {
    /** The resolvers. */
    readonly addresses: readonly string[];
    /** The domains in which names are searched. */
    readonly domains: readonly string[];
  };
}

type Fields = Record<string, unknown>;

const isList = (value: unknown, check: (text: string) => boolean): boolean =>
  Array.isArray(value) &&
  value.every((text) => typeof text === "string" && check(text));

function areResolvers({ addresses, domains }: Fields): boolean {
  const isResolver = (text: string) => {
    const address = parseAddress(text);
    return address !== undefined && unusable(address) === undefined;
  };
  return isList(addresses, isResolver) &&
    isList(domains, (text) => parseDomain(text) === text);
}

/** Whether a value of a state file is a {@linkcode DnsState}. */
export function isDns(value: unknown): boolean {
  const fields = (value ?? {}) as Fields;
  return typeof fields.inherit === "boolean" && areResolvers(fields);
}

/** Whether a value of a state file is a {@linkcode NamesState}. */
export function isNames(value: unknown): boolean {
  const { owners, guard, inUse } = (value ?? {}) as Fields;
  return typeof guard === "boolean" &&
    isList(owners, (text) => OWNERS.includes(text as Owner)) &&
    (inUse === undefined || areResolvers((inUse ?? {}) as Fields));
}
