/**
 * `--nat`: the part of the server's script that lets the tunnel's packets
 * through the server: forwarding, masquerading and TCP's MSS, for this tunnel
 * only, and as it was when the session ends.
 *
 * What is added to the firewall has a comment, `pvpn:DEVICE:INDEX:PID:ON`: the
 * tunnel's device and its ifindex, the script's process, and a setting that
 * was switched on, or `-`. There is no other record: this one lives as long as
 * the settings that it speaks of, across a SIGKILL, and not across a reboot.
 * By it a session knows what another one still needs, and tidies what was left
 * by one that had no time to.
 *
 * @module
 */
import { FIREWALL_SCRIPT } from "./remote_nat_firewall.ts";
import type { RemotePart } from "./remote_script.ts";

// Forwarding is switched on by device: the one by which a packet comes in
// decides (ip_route_input_slow() in route.c). Setting ip_forward to 1 and back
// to 0 would not leave a machine as it was: it sets every device, and
// accept_redirects to 1 (inet_forward_change() in devinet.c). Where somebody
// else sets it meanwhile, it is theirs, and stays.
//
// IPv6 has such a switch since Linux 6.17 (force_forwarding in ip6_output.c).
// Before, it is all.forwarding that decides, and that makes a router of the
// machine, which believes no router's advertisement: without accept_ra=2, the
// server would lose its own default route (rt6_purge_dflt_routers() in
// route.c). It is set to 2, which the kernel takes as 1, so that it can be told
// from what somebody else sets meanwhile; devices that forwarded by themselves
// are put back to that.
//
// The devices are the tunnel's own and those by which answers come. Only
// answers are let in by the latter: the server becomes no router for its
// neighbours.
//
// The kernel turns LRO off where it forwards IPv4, and never on again.
//
// Sessions take turns: flock(1) on a folder that a network namespace has for
// itself. Each first takes back what is nobody's: of a device that is gone, or
// another by now, or has lost its sshd (no carrier).
//
// What is switched on, as it is noted: DEVICE, forwarding by device;
// DEVICE+lro; and for IPv6 all, DEVICE+ra, and DEVICE+on, which had been on.
const SCRIPT = `
[ "$(id -u)" = 0 ] || fail root
command -v flock >/dev/null 2>&1 || fail missing flock
nat_nft= nat_xtables= nat_xtables_nft= nat_own= nat_on=
for name in iptables-nft iptables-legacy; do
  ! command -v "$name-save" >/dev/null 2>&1 || nat_xtables="$nat_xtables $name"
done
! command -v iptables-save >/dev/null 2>&1 ||
  nat_xtables=\${nat_xtables:-iptables}
case $nat_xtables:$(iptables -V 2>&1) in
  *iptables-nft* | *nf_tables*) nat_xtables_nft=yes ;;
esac
if ! command -v nft >/dev/null 2>&1; then
  [ -n "$nat_xtables" ] || fail firewall
elif why=$(nft list tables 2>&1); then nat_nft=yes
elif [ -z "$nat_xtables" ]; then fail nat $why
fi
parts="$parts nat" undo_parts="$undo_parts nat_down"
${FIREWALL_SCRIPT}
nat_lock() { exec 9</sys/class/net && nat_run flock 9; }
nat_unlock() { exec 9<&-; }
# The kernel ends a setting where a read ends, so read(1) misses its newline.
nat_is() {
  is=
  [ ! -e "/proc/sys/net/$1" ] || read -r is <"/proc/sys/net/$1" || :
  [ "$is" = "$2" ]
}
nat_set() { why=$({ echo "$2" >"/proc/sys/net/$1"; } 2>&1); }

nat_in_use() {
  [ "$3" != $$ ] && [ "$1" != "$nat_own" ] || return
  carrier=
  index_of "$1"
  read -r carrier 2>/dev/null <"/sys/class/net/$1/carrier"
  [ "$i:$carrier" = "$2:1" ]
}
# Takes back what is in use by nobody, or no longer.
nat_sweep() {
  needed= unneeded=$nat_on
  list=$({ set +x; } 2>/dev/null; nat_added 2>/dev/null)
  while IFS=: read -r family name at pid up _; do
    if nat_in_use "$name" "$at" "$pid"; then needed="$needed $family/$up"
    elif [ "$up" != "$name" ] || [ "$i" = "$at" ]; then
      unneeded="$unneeded $family/$up"
    fi
  done <<END
$list
END
  case " $unneeded " in *" ip6/all "*) nat_off ip6/all ;; esac
  for up in $unneeded; do nat_off "$up"; done
  while IFS=: read -r _ name at pid _ remove; do
    nat_in_use "$name" "$at" "$pid" || $remove >/dev/null 2>&1
  done <<END
$list
END
}
nat_off() {
  case " $needed " in *" $1 "*) return ;; esac
  name=\${1#*/}
  name=\${name%+*}
  case $1 in
    ip/*+lro) ! nat_is "ipv4/conf/$name/forwarding" 0 ||
      ethtool -K "$name" lro on ;;
    ip/*) ! nat_is ipv4/conf/all/forwarding 0 ||
      ! nat_is "ipv4/conf/$name/forwarding" 1 ||
      nat_set "ipv4/conf/$name/forwarding" 0 ;;
    ip6/all) ! nat_is ipv6/conf/all/forwarding 2 ||
      nat_set ipv6/conf/all/forwarding 0 ;;
    ip6/*+*) nat_is ipv6/conf/all/forwarding 0 || return 0
      case $1 in
        *+on) ! nat_is "ipv6/conf/$name/forwarding" 0 ||
          nat_set "ipv6/conf/$name/forwarding" 1 ;;
        *+ra) ! nat_is "ipv6/conf/$name/accept_ra" 2 ||
          nat_set "ipv6/conf/$name/accept_ra" 1 ;;
      esac ;;
    ip6/*) ! nat_is "ipv6/conf/$name/force_forwarding" 1 ||
      nat_set "ipv6/conf/$name/force_forwarding" 0 ;;
  esac
}

# Devices of routes to networks: not those of other tunnels, to one address.
nat_uplinks() {
  case $family in ip) set -- -4 ;; *) set -- -6 ;; esac
  ip "$1" route show table all type unicast | while read -r net rest; do
    case $net in
      fe80:*) continue ;;
      default | nexthop | */*) ;;
      *) continue ;;
    esac
    set -- $rest
    while [ $# -ge 2 ]; do [ "$1" != dev ] || echo "$2"; shift; done
  done | sort -u | while read -r up; do
    case $up in "$nat_own" | -* | *[!a-zA-Z0-9_.-]*) ;; *) echo "$up" ;; esac
  done
}
# Notes a setting that has to be switched on, or is another session's so far.
nat_add() {
  case " $needed " in
    *" $family/$1 "*) ;;
    *) nat_is "$2" "$3" || return ;;
  esac
  ups="$ups $1"
}
nat_choose() {
  guards= ups= key=ipv4/conf/@/forwarding all=ipv4/conf/all/forwarding
  if [ $family = ip6 ]; then
    key=ipv6/conf/@/force_forwarding all=ipv6/conf/all/forwarding
    [ -e /proc/sys/net/ipv6/conf/all/force_forwarding ] || key=
  fi
  if [ -z "$key" ]; then
    ! nat_is $all 1 || return 0
    for up in $uplinks; do
      nat_add "$up+on" "ipv6/conf/$up/forwarding" 1 || guards="$guards $up"
      nat_add "$up+ra" "ipv6/conf/$up/accept_ra" 1 || :
    done
    nat_add all $all 0
    return 0
  fi
  ! nat_is $all 1 || uplinks=
  for up in $nat_own $uplinks; do
    nat_add "$up" "\${key%@*}$up\${key#*@}" 0 || continue
    [ "$up" != "$nat_own" ] || continue
    guards="$guards $up"
    case $family:$needed:$(ethtool -k "$up" 2>/dev/null) in
      ip:*" ip/$up+lro"* | ip:*"large-receive-offload: on"*)
        ups="$ups $up+lro" ;;
    esac
  done
}
nat_switch_on() {
  for up in $ups; do
    case $up in
      *+lro | *+on) ;;
      *+ra) nat_set "ipv6/conf/\${up%+ra}/accept_ra" 2 ;;
      all) nat_set ipv6/conf/all/forwarding 2 ;;
      *) nat_set "\${key%@*}$up\${key#*@}" 1 ;;
    esac || return
  done
}
nat_family() {
  family=$1 to=$2
  uplinks=$({ set +x; } 2>/dev/null; nat_uplinks)
  [ "$family" = ip ] || [ -n "$uplinks" ] || return 0
  nat_choose
  for up in $ups; do nat_on="$nat_on $family/$up"; done
  if [ -z "$nat_nft" ] || ! nat_with_nft; then
    [ -n "$nat_xtables" ] && nat_with_iptables || fail nat $why
  fi
  nat_let_through && nat_switch_on || fail nat $why
}
nat() {
  nat_own=$1
  nat_lock || fail nat $why
  nat_sweep
  index_of "$nat_own"
  tag=pvpn:$nat_own:$i:$$
  nat_family ip "$peer"
  [ -z "$local6" ] || nat_family ip6 "$peer6"
  nat_unlock
}
# Nobody is left to see that a command failed: what it left is found again.
nat_down() {
  nat_own=
  nat_lock
  nat_sweep
  nat_sweep
  nat_unlock
}
`;

/** `--nat`, on the server. */
export const NAT: RemotePart = {
  text: SCRIPT,
  errors: {
    root: () => ({
      message: "only root can set NAT up on the server, and this login is not",
      hints: ["log in as root (root@HOST), or leave --nat out"],
    }),
    firewall: () => ({
      message: 'the server has neither "nft" nor "iptables", for --nat',
      hints: ["install one there; on Debian: apt install nftables"],
    }),
    nat: (detail) => ({
      message: `the server could not set NAT up: ${detail}`,
      hints: /not permitted|denied|Read-only/.test(detail)
        ? ["in a container there, root needs CAP_NET_ADMIN"]
        : [],
    }),
  },
};
