/**
 * What runs on the server: one POSIX sh script for each session, sent as
 * ssh's remote command. It sets the far end up, says what it found as
 * `key=value` lines, and undoes all of it when its input ends, however it
 * ends: a dead client, a cut cable and a SIGKILL all close it.
 *
 * @module
 */
import { formatAddress } from "./address.ts";
import { formatPair, type Pair } from "./pair.ts";
import { quoteAll } from "./quote.ts";

/** What an error of the server's script means, in words. */
export interface RemoteError {
  /** The cause. */
  readonly message: string;
  /** What to do or type next. */
  readonly hints: readonly string[];
}

/**
 * The parts of the server's script that a tunnel type brings. POSIX sh, fixed
 * text: values reach it as `$1` and so on, `$mtu`, `$local` and `$peer` (the
 * server's and the client's address), `$local6` and `$peer6` (empty without
 * IPv6), never by pasting. `fail WORD DETAIL` ends the set-up; `tell KEY VALUE`
 * makes one of `reports`. A variable that it has not set may hold anything.
 */
export interface RemoteScript {
  /**
   * Sets `$device`, the server's end, to which the core gives addresses.
   * Without it, `hold` makes one that goes when it ends: it sets `$device` and
   * calls `up` for its addresses, unless it negotiates them; then `report
   * "$device"`.
   */
  readonly device?: string;
  /** Returns when the tunnel is to end; runs with the session's input. */
  readonly hold: string;
  /**
   * Takes back what `device` and `hold` did. Runs when the session ends, in
   * whatever way, and they have been begun; they may have been cut anywhere.
   */
  readonly undo?: string;
  /** What `device` and `hold` get as `$1`, `$2`...; `ps` shows it to all. */
  readonly args?: readonly string[];
  /** What it has to `tell` before it is ready, and what the values look like. */
  readonly reports?: Readonly<Record<string, RegExp>>;
  /** What the WORDs of this script's `fail` mean, from their DETAIL. */
  readonly errors?: Readonly<Record<string, (detail: string) => RemoteError>>;
}

/**
 * A part of the server's script that is sent only where it is asked for: POSIX
 * sh, fixed text. What it defines it names in `$parts`: functions that are
 * called with the device's name when that has its addresses, before the server
 * says that it is ready; they may `say KEY=VALUE`. And in `$undo_parts`: those
 * that take it back when the session ends.
 */
export interface RemotePart {
  /** The text; what it does by itself is done before all else. */
  readonly text: string;
  /** What the WORDs of its `fail` mean, from their DETAIL. */
  readonly errors?: RemoteScript["errors"];
}

/** What one session asks of the server. */
export interface RemoteRequest {
  /** A word that marks the script's own lines among ssh's; one a session. */
  readonly token: string;
  /** MTU of the device, in bytes. */
  readonly mtu: number;
  /** The pairs to choose from; the first that collides with nothing wins. */
  readonly pairs: readonly Pair[];
  /** The IPv6 pair, where the tunnel is to carry IPv6. */
  readonly pair6: Pair | undefined;
  /**
   * Whether this session takes over from one of ours that died, and that the
   * server may not have missed yet: its addresses are taken away from it.
   */
  readonly resume: boolean;
  /** Prints each command that it runs, for `-d`. */
  readonly trace: boolean;
  /** What the server does beside the tunnel itself. */
  readonly parts?: readonly RemotePart[];
}

// The exit trap runs with the session's end in whatever way it comes. A tun
// that sshd made goes with sshd; one that was prepared for the user keeps
// living, so it gets back what it had. The index guards against a device of
// the same name that a later session got. Ending sshd's process for this
// session (its parent, if it still is, and is called so) ends a client that has
// lost its keeper: with a tunnel open, ssh would not end with its command.
// Before the ready line that is left to the client, or sshd might not get to
// send the error line.
// A login shell may have said something without ending the line.
// Nothing may be traced to a stderr that is closed by then: the SIGPIPE would
// end the trap.
const SCRIPT = `
set -f
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
token=$1 mtu=$2 resume=$3 local6=$5 peer6=$6
[ "$4" = quiet ] || { PS4='+ server: '; set -x; }
pairs=$7
shift 7
index= changed= changed6= ready= begun= parts= undo_parts= given=
nl='
'

say() { printf '\\n%s %s\\n' "$token" "$*" >&2; }
fail() { say "error=$*"; exit 1; }
tell() { say "own=$*"; }
index_of() { i= ; read -r i 2>/dev/null <"/sys/class/net/$1/ifindex"; }
undo() {
  trap '' HUP INT TERM PIPE
  for part in $undo_parts; do "$part"; done
  if [ -n "$changed" ]; then
    index_of "$device"
    if [ "$i" = "$index" ]; then
      ip address delete "$local" peer "$peer" dev "$device"
      [ -z "$changed6" ] ||
        ip address delete "$local6" peer "$peer6" dev "$device"
      ip link set dev "$device" mtu "$old_mtu" $old_state
    fi
  fi
  [ -z "$begun" ] || undo_type
  [ -n "$ready" ] || exit
  read -r _ _ _ parent _ <"/proc/$$/stat"
  read -r name <"/proc/$PPID/comm"
  case $parent:$name in "$PPID:sshd"*) kill -TERM "$PPID" ;; esac
} >/dev/null 2>&1
trap '{ undo; } 2>/dev/null' EXIT
trap '{ exit 1; } 2>/dev/null' HUP INT TERM PIPE

# Sets $lines to what ip shows of a family, as the lines behind that ask; again,
# a few times, where it changed while ip looked.
look() {
  family=$1 lines=
  shift
  for try in 1 2 3 4 5; do
    shown=$(printf '%s\\n' "$@" | ip "$family" -o -batch - 2>&1) &&
      status=0 || status=$?
    case $shown in *"Dump was interrupted"*) ;; *) break ;; esac
  done
  [ $status = 0 ] || { printf '%s\\n' "$shown" >&2; return $status; }
  IFS=$nl
  for line in $shown; do
    case $line in
      "Dump was interrupted"* | Warning:* | Error:*) ;;
      *) lines=$lines\${lines:+$nl}$line ;;
    esac
  done
  unset IFS
}
taken() {
  by=failed
  look -4 "route show table all match $1" "route show table all match $2" ||
    return 0
  by=
  IFS=$nl
  for line in $lines; do
    unset IFS
    set -- $line
    case $1 in default | 0.0.0.0/1 | 128.0.0.0/1) continue ;; esac
    case \${2-} in default) continue ;; esac
    case $1 in *.*) by=$1 ;; *) by=\${2:-$1} ;; esac
    break
  done
  unset IFS
}
release() {
  look "$1" "address show to $2" || return 0
  printf '%s\\n' "$lines" | while read -r _ old _ mine _ theirs _; do
    [ "$mine $theirs" = "$2 $3" ] || continue
    ip address delete "$2" peer "\${3%/*}" dev "$old" &&
      ip link set dev "$old" down
  done
}
address() {
  by=
  for pair in $pairs; do
    peer=\${pair%:*} local=\${pair#*:}
    [ "$resume" = new ] || release -4 "$local" "$peer/32"
    taken "$local" "$peer"
    [ -n "$by" ] || return 0
  done
  fail address "$local" "$peer" $by
}
# One ip for all: on a small server, each takes longer than what it does.
up() {
  given=$(printf '%s\\n' "address add $local peer $peer dev $device" \\
    "link set dev $device mtu $mtu up" "address show to $local" |
    ip -4 -o -batch - 2>&1) || fail ip \${given%Command failed*}
}

# What IPv6 the tunnel can have: one end of a pair, and a way out for more.
up6() {
  [ -n "$local6" ] || return 0
  [ "$resume" = new ] || release -6 "$local6" "$peer6/128"
  way6=$(ip -6 route get 2000:: 2>/dev/null) || way6=
  changed6=yes
  ip address add "$local6" peer "$peer6" dev "$1" nodad 2>/dev/null || return 0
  read -r forward </proc/sys/net/ipv6/conf/all/forwarding
  [ "$forward" != 0 ] || # by device since Linux 6.17
    read -r forward 2>/dev/null <"/proc/sys/net/ipv6/conf/$1/force_forwarding"
  say "forwarding6=$((forward != 0))"
  [ -n "$way6" ] && [ "$forward" != 0 ] && say ipv6=way || say ipv6=peer
}

report() {
  # Another session may have been given them at the same moment.
  lines=$given
  case $lines in "" | *"$nl"*) look -4 "address show to $local" ;; esac
  case $lines in *"$nl"*) fail address "$local" "$peer" "$local" ;; esac
  for part in $parts; do "$part" "$1"; done
  read -r is <"/proc/sys/net/ipv4/conf/$1/forwarding"
  say "forwarding=$is"
  ready=yes
  up6 "$1"
  say "device=$1"
  say "local=$local"
  say "peer=$peer"
  say ready
}

command -v ip >/dev/null 2>&1 || fail missing ip
`;

// What is done with a device that is there.
const SET_UP = `
index_of "$device"
index=$i
[ -n "$index" ] || fail device $device
read -r old_mtu <"/sys/class/net/$device/mtu"
read -r flags <"/sys/class/net/$device/flags"
[ $((flags & 1)) = 0 ] && old_state=down || old_state=up
address
changed=yes
up
report "$device"
`;

/**
 * The remote command: `/bin/sh` with the script and its values, each quoted.
 */
export function remoteCommand(
  script: RemoteScript,
  request: RemoteRequest,
): string {
  const { device, hold, undo = ":", args = [] } = script;
  const { pair6 } = request;
  const texts = [
    SCRIPT,
    ...(request.parts ?? []).map(({ text }) => text),
    ...["undo_type() {", undo, "}"],
    ...device === undefined
      ? ["address", "begun=yes"]
      : ["begun=yes", device, SET_UP],
    hold,
  ];
  const text = texts.map((text) => text.trim()).join("\n");
  return "exec " + quoteAll([
    "/bin/sh",
    "-c",
    text,
    "pvpn",
    request.token,
    String(request.mtu),
    request.resume ? "resume" : "new",
    request.trace ? "trace" : "quiet",
    ...pair6 === undefined
      ? ["", ""]
      : [formatAddress(pair6.peer), formatAddress(pair6.local)],
    request.pairs.map(formatPair).join(" "),
    ...args,
  ]);
}

/** A word that no server can have printed before: 128 random bits. */
export function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `pvpn-${bytes.toHex()}`;
}
