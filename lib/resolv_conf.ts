/**
 * Reading resolv.conf(5), on either end, in POSIX sh without another process.
 *
 * @module
 */
import { type Address, parseAddress } from "./address.ts";
import type { RemotePart } from "./remote_script.ts";
import { parseDomain, type ServerResolvers, unusable } from "./resolver.ts";

/** How many resolvers are told: glibc asks three, others more. */
export const RESOLVER_LIMIT = 8;
/** How many search domains are told. */
export const DOMAIN_LIMIT = 8;

// The real upstream resolvers of this machine, told by `say resolver=ADDRESS`
// and `say domain=NAME`. A first resolver on the machine itself (a stub, or a
// cache) is none; there, whose it is says where its own upstreams are written
// down: systemd-resolved's (it listens on 127.0.0.53 and .54 only),
// NetworkManager's (since 1.12), and dnsmasq's, as Debian's resolvconf makes
// it. Others have none to be read: then `say stub=ADDRESS`, and the rest of
// the list, which is asked only where the first does not answer, is not told.
// The last "search" or "domain" counts, as for glibc; names keep the stub's.
// Words that are too long to be anything are left out.
export const RESOLV_CONF_SCRIPT = `
resolv_conf() {
  [ -r "$1" ] || return
  while read -r key first rest || [ -n "$key" ]; do
    case $key in
      nameserver)
        [ \${#first} -le 64 ] || continue
        count=$((count + 1))
        case $first in
          127.* | ::1 | 0.0.0.0 | ::) [ $count -gt 1 ] || stub=$first ;;
          *) [ $count -gt ${RESOLVER_LIMIT} ] || list="$list $first" ;;
        esac ;;
      search | domain) [ -n "$locked" ] || domains="$first $rest" ;;
    esac
  done <"$1"
}
list= stub= own= domains= locked= count=0
resolv_conf /etc/resolv.conf
[ $count -gt 0 ] || stub=127.0.0.1
if [ -n "$stub" ]; then
  own=$stub list= locked=$domains
  case $own in
    127.0.0.53 | 127.0.0.54) set -- /run/systemd/resolve/resolv.conf ;;
    *) set -- /run/NetworkManager/no-stub-resolv.conf /run/dnsmasq/resolv.conf ;;
  esac
  for file; do
    count=0
    [ -n "$list" ] || resolv_conf "$file"
  done
  [ -n "$list" ] || say "stub=$own"
fi
for word in $list; do say "resolver=$word"; done
count=0
for word in $domains; do
  [ $count -lt ${DOMAIN_LIMIT} ] || break
  [ \${#word} -gt 254 ] || say "domain=$word"
  count=$((count + 1))
done
`.trim();

/** Makes the server tell its resolvers; before all else, as it takes no time. */
export const RESOLVERS_PART: RemotePart = {
  // In a function: the type's own words are $1 and so on.
  text: `tell_resolvers() {\n${RESOLV_CONF_SCRIPT}\n}\ntell_resolvers`,
};

/** The values of the lines that the script says, by their keys. */
export interface Told {
  /** Of `resolver=`. */
  readonly resolver: readonly string[];
  /** Of `domain=`. */
  readonly domain: readonly string[];
  /** Of `stub=`. */
  readonly stub?: string | undefined;
}

/** Parses what the script says; what makes no sense is named, and left out. */
export function parseTold({ resolver, domain, stub }: Told): ServerResolvers {
  const nonsense: string[] = [];
  const addresses: Address[] = [];
  for (const text of resolver) {
    const address = parseAddress(text);
    if (address === undefined) nonsense.push(text);
    else if (unusable(address) !== undefined) {
      nonsense.push(`${text}, which ${unusable(address)}`);
    } else addresses.push(address);
  }
  const domains: string[] = [];
  for (const text of domain) {
    const name = parseDomain(text);
    if (name !== undefined) domains.push(name);
    else if (text !== ".") nonsense.push(text); // "search ." means none
  }
  return {
    addresses,
    domains,
    nonsense,
    ...(stub === undefined ? {} : { stub }),
  };
}
