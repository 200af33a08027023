/**
 * /etc/resolv.conf, where it is nobody's but the machine's: swapped for one of
 * the tunnel's, and put back.
 *
 * The file that was there is set aside under another name in the same folder,
 * so that the very same one comes back: its inode, its mode, or the link that
 * it was. A second tunnel sets the first one's aside in the same way. They are
 * a stack, and one that is not on top is taken out of the middle.
 *
 * @module
 */
import { formatAddress } from "./address.ts";
import type { Resolvers } from "./resolver.ts";

/** The lines of a resolv.conf(5). */
export function formatResolvConf({ addresses, domains }: Resolvers): string {
  return [
    // Without a line of its own, the host's own name would make a domain.
    `search ${domains.length === 0 ? "." : domains.join(" ")}`,
    ...addresses.map((address) => `nameserver ${formatAddress(address)}`),
  ].join("\n");
}

// A file of ours knows itself: its first line has the device, and a checksum
// of the others. One that somebody has changed since is somebody else's; where
// that cannot be told, nothing is done.
//
//   place_of DEVICE    sets $place to where the file of a tunnel is: the
//                      file that programs read, or one that was set aside
//   put FILE PLACE     renames, in one step for all who look; a mount, as
//                      containers have one there, can only be written to.
//                      Nothing else is: it may be what was set aside, which
//                      has two names until it is replaced
//   restore DEVICE     takes the file of a tunnel out of the stack. Where
//                      the new file still is, the swap was cut in the middle:
//                      what was set aside may be linked, moved, or copied;
//                      a copy of what is there still is not needed.
//   restore_left       the same for all that a loss of power has left
const COMMON = `
conf=/etc/resolv.conf
sum_of() { printf '%s\\n' "$1" | cksum | { read -r sum _ && echo "$sum"; }; }
is_of() {
  [ -f "$2" ] || return
  { read -r head; rest=$(cat); } <"$2" || exit
  case $head in "# Made by pvpn for $1 ("*) ;; *) return 1 ;; esac
  sum=$(sum_of "$rest") || exit
  case $head in "# Made by pvpn for $1 ($sum)"*) ;; *) return 1 ;; esac
}
there() { [ -e "$1" ] || [ -L "$1" ]; }
place_of() {
  for place in "$conf" "$conf".pvpn-*; do
    [ -L "$place" ] || ! is_of "$1" "$place" || return 0
  done
  return 1
}
mounted() {
  while read -r _ _ _ _ at _; do
    [ "$at" != "$1" ] || return 0
  done </proc/self/mountinfo
  return 1
}
put() {
  if mounted "$2"; then cat "$1" >"$2"; else mv -f "$1" "$2"; fi || return
  rm -f "$1"
}
same() { [ "$1" -ef "$2" ] || { [ -L "$1" ] && [ -L "$2" ]; }; }
equal() {
  [ -f "$1" ] && [ -f "$2" ] && sum=$(cksum <"$1") && other=$(cksum <"$2") &&
    [ "$sum" = "$other" ]
}
restore() {
  aside=$conf.pvpn-$1 new=$conf.new-$1
  if place_of "$1"; then
    if there "$aside"; then put "$aside" "$place"; else rm -f "$place"; fi
  elif there "$aside"; then
    if there "$conf" && { [ ! -e "$new" ] || same "$aside" "$conf" ||
      equal "$aside" "$conf"; }; then
      rm -f "$aside"
    else
      put "$aside" "$conf"
    fi
  fi && rm -f "$new"
}
restore_left() {
  for left in "$conf".pvpn-* "$conf"; do
    there "$left" || continue
    head=
    [ ! -f "$left" ] || read -r head <"$left" || :
    case $head in "# Made by pvpn for "*) head=\${head#*for } ;; *) head= ;; esac
    for owner in "\${left##*.pvpn-}" "\${head%% *}"; do
      case $owner in '' | */*) continue ;; esac
      [ ! -e "/run/pvpn/$owner.json" ] || continue
      restore "$owner" || return
      echo "$owner"
    done
  done
}
umask 022
# Two tunnels must not change the stack at the same time.
! command -v flock >/dev/null || { exec 9</etc && flock 9; } || exit
`.trim();

/**
 * Puts a tunnel's file in place: on top, or where it is already. Arguments:
 * the device, and the lines.
 *
 * A link to the file that is there keeps it while its name is taken over in
 * one step. On a file system without links it is moved; a mount is copied.
 */
export const SET_SCRIPT = `
${COMMON}
set -e
# Whoever wanted this may have been killed, and its tunnel stopped, meanwhile.
read -r _ _ _ parent _ <"/proc/$$/stat"
[ "$parent" = "$PPID" ]
device=$1 lines=$2
restore_left
aside=$conf.pvpn-$device new=$conf.new-$device
write() {
  head="# Made by pvpn for $device ($(sum_of "$lines"))"
  head="$head: \\"pvpn -S $device\\" puts back what was here"
  printf '%s\\n' "$head" "$lines" >"$new"
}
if place_of "$device"; then
  write
  put "$new" "$place"
  exit
fi
rm -f "$aside" # of a file that somebody has replaced since
write
if there "$conf"; then
  ln "$conf" "$aside" 2>/dev/null || mv "$conf" "$aside" 2>/dev/null ||
    cp -p "$conf" "$aside"
fi
put "$new" "$conf"
`.trim();

/**
 * Puts back what was there before a tunnel's file; where that is not there
 * any more, somebody else's is, and stays. Argument: the device.
 */
export const RESTORE_SCRIPT = `
${COMMON}
restore "$1"
`.trim();

/**
 * The same for all tunnels of which nothing else is left, since the machine
 * lost its power; prints their devices.
 */
export const RESTORE_LEFT_SCRIPT = `
${COMMON}
restore_left
`.trim();
