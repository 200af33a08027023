/**
 * `ppp`: pppd on both ends, over ssh's standard input and output (pppd(8),
 * options `pty` and `notty`). Needs no permission of sshd's.
 *
 * @module
 */
import {
  type Check,
  ExitCode,
  type FileStep,
  formatAddress,
  INTERFACE_VERSION,
  type Pair,
  PairTakenError,
  PvpnError,
  quoteAll,
  REMEDIES,
  type RemoteFacts,
  type RemoteScript,
  type Tunnel,
  type TunnelContext,
  type TunnelOptions,
  type TunnelPlugin,
} from "../plugin.ts";
import { PPP_THERE, pppHere } from "./needs.ts";
import { CHATTER_REGEXP, explainHere, explainThere, WAY_OUT } from "./pppd.ts";

/** Where pppd is, which is not in every root's PATH. */
const SBIN = "/usr/local/sbin:/usr/sbin:/sbin";

/** Where no script can ever be: pppd does not mind one that is not there. */
const NO_SCRIPT = "/proc/none";

/**
 * What pppd makes and leaves: a database that only multilink needs
 * (pathnames.h). Removed where it was not there before.
 */
const DATABASE = "/run/pppd2.tdb";

/**
 * Options of both ends. ssh is a clean 8-bit channel that has compressed or
 * not, as it likes, and has authenticated: nothing of that is done twice.
 * Scripts in /etc/ppp must not touch routes and resolvers, which are the
 * core's.
 */
const OPTIONS = [
  ...["nodetach", "noauth", "local", "asyncmap", "0"],
  ...["noccp", "novj", "nodefaultroute"],
  // Against what /etc/ppp/options may have for others: the server's neighbours
  // are not told of the client, and who starts pppd again is the core.
  ...["noproxyarp", "nopersist", "idle", "0", "maxconnect", "0"],
  // A link that answers nothing for 30 s is dead: as with ssh's ServerAlive.
  ...["lcp-echo-interval", "10", "lcp-echo-failure", "3"],
  // Seconds until what got lost is sent again; before, it was 3.
  ...["lcp-restart", "1", "ipcp-restart", "1"],
  // A link that is gone need not be told so ten times.
  ...["lcp-max-terminate", "1", "child-timeout", "1"],
  ...["ip-up-script", NO_SCRIPT, "ip-down-script", NO_SCRIPT],
];

// pppd's packets are the session's own input and output; what it says comes
// out of descriptor 3 and is read here for the device's name and the moment
// at which it has addresses.
const SCRIPT: RemoteScript = {
  hold: `
litter= last=
[ "$(id -u)" -eq 0 ] || fail pppd 3
command -v pppd >/dev/null 2>&1 || fail pppd 127
[ -e ${DATABASE} ] || litter=${DATABASE}
exec 4>&1
trap '' PIPE # or tracing would end the loop below when the client has gone
{
  ipv6=noipv6
  [ -z "$local6" ] || ipv6=+ipv6
  pppd notty logfd 3 mtu "$mtu" mru "$mtu" "$local:$peer" $ipv6 ${
    quoteAll(OPTIONS)
  } 3>&1 2>&1 1>&4 4>&-
  echo "exit $?"
} | while read -r line; do
  case $line in
    "Using interface "*) device=\${line#"Using interface "} ;;
    "remote IP address "*) report "$device" ;;
    "exit "*)
      rm -f "/run/$device.pid" # where it was killed
      fail pppd "\${line#"exit "}" "$(printf %.400s "$last")" ;;
    # What it says of any link; the rest tells why this one ended.
    "local "* | "remote "* | "Connect"* | "Terminating on "* | "Sent "*) ;;
    "Modem hangup"* | "") ;;
    *) last=$line ;;
  esac
done`,
  undo: '[ -z "$litter" ] || rm -f "$litter"',
  errors: { pppd: explainThere },
};

// `command -v` would not find what only root and a group may run. Only what
// comes out of a variable is split.
const FIND = `
set -f
IFS=:
path=$PATH:${SBIN}
for folder in $path; do [ ! -f "$folder/pppd" ] || exit 0; done
exit 1`.trim();

const installed: Check = {
  name: "pppd on this machine",
  hint: `${REMEDIES.installPpp} on Debian; ${WAY_OUT}`,
  async passes(query) {
    const argv = ["sh", "-c", FIND];
    return (await query(argv, { anyStatus: true })).status === 0;
  },
  version: ["sh", "-c", `PATH=$PATH:${SBIN}; pppd --version 2>&1`],
};

const fileStep = (path: string): FileStep => ({ kind: "file", path });

// What pppd says is read here and passed on line by line: it writes a line in
// parts, and what it runs would write into the middle of it. ssh's standard
// error (descriptor 3) goes past it, and what the server says need not end with
// a newline: a line of pppd's begins with one.
// A terminal that is closed, as sudo's is when it ends, hangs all up that was
// started in it; and a later ^C goes there too. Others have been told to
// ignore both, but pppd sets handlers: it must not get them (coreutils 8.31).
const RUN = `
exec 3>&2
PATH=$PATH:${SBIN}
calm="env --block-signal=HUP,INT,QUIT"
$calm true 2>/dev/null || calm=
{
  $calm pppd "$@"
  echo "exit $?"
} | while read -r line; do
  case $line in "exit "*) exit "\${line#"exit "}" ;; esac
  printf '\\npppd: %s\\n' "$line" # echo would make lines of what it escapes
done >&2`.trim();

async function isThere(
  path: string,
  { query }: TunnelContext,
): Promise<boolean> {
  const argv = ["sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "pvpn", path];
  return (await query(argv, { anyStatus: true })).status === 0;
}

async function connect(
  context: TunnelContext,
  { device, mtu, ipv6 }: TunnelOptions,
  pair: Pair,
): Promise<RemoteFacts> {
  const ssh = context.ssh([], SCRIPT, [pair]);
  const addresses = `${formatAddress(pair.local)}:${formatAddress(pair.peer)}`;
  return await context.carry([
    ...["sh", "-c", RUN, "pppd"],
    // Without exec, pppd would end the shell, and ssh would go on. Silent: it
    // waits for the server's pppd, however long a passphrase takes to type.
    ...["silent", "pty", `exec ${quoteAll(ssh)} 2>&3`],
    ...["unit", device.slice("ppp".length), addresses],
    ...["mtu", String(mtu), "mru", String(mtu), ...OPTIONS],
    ...[ipv6 ? "+ipv6" : "noipv6"],
  ], {
    explain: explainHere,
    chatter: CHATTER_REGEXP,
    until(line) {
      const [, name] = /^pppd: Using interface (\S+)/.exec(line) ?? [];
      if (name !== undefined && name !== device) {
        throw new PvpnError(
          ExitCode.network,
          `pppd made "${name}", where "${device}" was free before`,
          ["another pppd was faster: try again"],
        );
      }
      return line.startsWith("pppd: remote IP address ");
    },
  });
}

/** pppd over ssh. */
export const ppp: TunnelPlugin = {
  version: INTERFACE_VERSION,
  type: "ppp",
  summary: "pppd over ssh; needs pppd on both ends",
  device: "ppp",
  commands: ["pppd", "sh", "ssh"],

  checks: () => [installed, pppHere],
  remoteChecks: () => PPP_THERE,

  async open(context, options): Promise<Tunnel> {
    if (!options.resume) {
      // The first is what a pppd that was killed could not remove.
      const left = [`/run/${options.device}.pid`];
      if (!await isThere(DATABASE, context)) left.push(DATABASE);
      await context.record(...left.map((path) => fileStep(path)));
    }
    for (const [index, pair] of context.pairs.entries()) {
      try {
        const remote = await connect(context, options, pair);
        return { remote, negotiated: true };
      } catch (error) {
        // Both pppds have to know the pair beforehand: rather a second login,
        // in the rare case, than addresses that the server may dictate.
        const last = index === context.pairs.length - 1;
        if (!(error instanceof PairTakenError) || last) throw error;
      }
    }
    throw new TypeError("Cannot connect: there is no pair");
  },
};
