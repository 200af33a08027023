/**
 * What `--check` runs on either end: one fixed POSIX sh script that looks, says
 * what there is as `key=value` lines on stderr, and changes nothing.
 *
 * @module
 */
import { quoteAll } from "./quote.ts";
import { RESOLV_CONF_SCRIPT } from "./resolv_conf.ts";
import type { RemoteCheck } from "./tunnel.ts";

// A check is a function that runs in a subshell: what it prints first is told,
// and its status says whether it is there. The script ends with its input.
const SCRIPT = `
set -f
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
token=$1
say() { printf '\\n%s %s\\n' "$token" "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
fact() {
  [ -r "$2" ] || return 0
  line=
  read -r line <"$2" || :
  say "$1=$line"
}
say "uid=$(id -u)"
say "user=$(id -un 2>/dev/null)"
fact kernel /proc/sys/kernel/osrelease
fact forward4 /proc/sys/net/ipv4/ip_forward
fact forward6 /proc/sys/net/ipv6/conf/all/forwarding
fact congestion /proc/sys/net/ipv4/tcp_congestion_control
for name in apt-get dnf zypper pacman apk; do
  if has "$name"; then say "manager=$name"; break; fi
done
! has ip || say "ip=$(ip -V 2>&1)"
! has ssh || say "ssh=$(ssh -V 2>&1)"
programs=
for name in flock nft setpriv; do ! has "$name" || programs="$programs $name"; done
say "programs=$programs"
firewall=
! has nft || firewall="$(nft --version 2>&1 | head -n 1)"
! has iptables || firewall="\${firewall:+$firewall, }$(iptables --version 2>&1)"
say "firewall=$firewall"
tell_resolvers() {
${RESOLV_CONF_SCRIPT}
}
tell_resolvers
server() {
  say "clock=$(date +%s)"
  say "connection=$SSH_CONNECTION"
}
[ -z "\${SSH_CONNECTION-}" ] || server
run() {
  text=$("check_$1" 2>/dev/null </dev/null)
  status=$?
  text=\${text%%"
"*}
  say "check=$1 $status $text"
}
`.trim();

const END = `
say ready
[ -z "\${SSH_CONNECTION-}" ] || while read -r _; do :; done
exit 0`;

/** A function of sh that is one check, in a subshell: `check_INDEX`. */
export function checkFunction({ test }: RemoteCheck, index: number): string {
  return `check_${index}() (\n${test.trim()}\n)`;
}

/** The script, with checks of tunnel types. */
export function probeScript(checks: readonly RemoteCheck[]): string {
  const texts = checks.map((check, index) =>
    `${checkFunction(check, index)}\nrun ${index}`
  );
  return [SCRIPT, ...texts, END.trim()].join("\n");
}

/** The remote command that runs it. */
export function probeCommand(
  checks: readonly RemoteCheck[],
  token: string,
): string {
  const argv = ["/bin/sh", "-c", probeScript(checks), "pvpn", token];
  return "exec " + quoteAll(argv);
}
