/**
 * `ssh-gso`: packets of up to 64 KiB over one ssh's standard input and output.
 * A pump on each end reads them from a TUN device that leaves segmentation to
 * others. Needs no permission of sshd's.
 *
 * @module
 */
import {
  type Address,
  type Check,
  deleteLink,
  ExitCode,
  formatAddress,
  INTERFACE_VERSION,
  type RemoteScript,
  type Tunnel,
  type TunnelContext,
  type TunnelOptions,
  type TunnelPlugin,
  UnfitError,
} from "../plugin.ts";
import { SSH_GSO_THERE } from "./needs.ts";
import { PUMP } from "./pump.ts";
import { tunNode } from "./tun.ts";

const WAY_OUT = "or use OpenSSH's own tunnel: -t ssh-3";

// The pump has the session's input and output; what it says comes out of
// descriptor 3. Its device goes with it, or with the last that shares it.
// Arguments: the device's name, and how many pumps share it.
const SCRIPT: Omit<RemoteScript, "args"> = {
  hold: `
shared=
command -v perl >/dev/null 2>&1 || fail perl
exec 4>&1
[ "$2" = 1 ] || shared=\${1%"%d"}0
perl -we '${PUMP}' "$1" "$peer\${peer6:+,$peer6}" "$2" 3>&1 >&4 4>&- |
  while read -r what text; do
    case $what in
      device)
        device=$text
        up
        report "$device" ;;
      error) fail pump "$text" ;;
    esac
  done`,
  undo: `[ -z "\${shared:-}" ] || ip link delete dev "$shared"`,
  errors: {
    perl: () => ({
      message: "the server has no perl",
      hints: ["install it there; on Debian: apt install perl-base", WAY_OUT],
    }),
    pump: (detail) => ({
      message: `the server's end of the tunnel failed: ${detail}`,
      hints: [...pumpHints(detail), WAY_OUT],
    }),
  },
};

// A further pump there. Arguments: itself, its device, and how many share it.
const BESIDE = `
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
for try in 1 2 3 4 5; do
  shown=$(ip -o address show dev "$2" 2>&1)
  case $shown in *"Dump was interrupted"*) ;; *) break ;; esac
done
clients=$(echo "$shown" | {
  list=
  while read -r _ _ _ _ word peer _; do
    [ "$word" != peer ] || list=$list,\${peer%/*}
  done
  echo "\${list#,}"
})
[ -n "$clients" ] || { echo "$2 has no addresses: $shown" >&2; exit 1; }
exec perl -we "$1" "$2" "$clients" "$3" 3>&2`.trim();

/**
 * The start of a device's name: 40 random bits, so that no other machine, and
 * no other tunnel there, has it. A number is added, and the kernel takes 15
 * bytes.
 */
function uniqueDevice(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(5));
  return `tun${bytes.toHex()}`;
}

/** RFC 4291, 2.5.6. */
function isLinkLocal({ family, value }: Address): boolean {
  return family === 6 && value >> 118n === 0x3fan;
}

function pumpHints(why: string): string[] {
  if (/not permitted|denied/.test(why)) {
    return ["log in as root (root@HOST), who may make tunnel devices"];
  }
  return /\/dev\/net\/tun/.test(why) ? ["modprobe tun"] : [];
}

const perl: Check = {
  name: "perl on this machine",
  hint: `apt install perl-base on Debian; ${WAY_OUT}`,
  async passes(query) {
    const argv = ["sh", "-c", "command -v perl"];
    return (await query(argv, { anyStatus: true })).status === 0;
  },
  version: ["perl", "-e", 'printf "%vd", $^V'],
};

function explain(
  _status: number,
  lines: readonly string[],
): UnfitError | undefined {
  const line = lines.findLast((line) => line.startsWith("pump: error "));
  const why = line?.slice("pump: error ".length);
  if (why === undefined) return undefined;
  // What comes from the other end is the server's fault.
  const theirs = /^the (?:server|other end) /.test(why);
  return new UnfitError(
    theirs ? ExitCode.server : ExitCode.network,
    theirs ? why : `this end of the tunnel failed: ${why}`,
    [WAY_OUT],
  );
}

/** Super-packets over ssh. */
export const sshGso: TunnelPlugin = {
  version: INTERFACE_VERSION,
  type: "ssh-gso",
  summary: "the fastest over ssh; needs perl on both ends",
  device: "tun",
  parallel: true,
  commands: ["ip", "perl", "sh", "ssh"],

  checks: () => [tunNode, perl],
  remoteChecks: () => SSH_GSO_THERE,

  async open(
    context: TunnelContext,
    { device, mtu, resume, parallel = 1 }: TunnelOptions,
  ): Promise<Tunnel> {
    const several = parallel > 1;
    // As ssh-3's, but for root: it is the pump that attaches to it, not ssh.
    const queues = several ? " multi_queue" : "";
    const made = resume ? undefined : context.ip([deleteLink(device)], [
      `tuntap add dev ${device} mode tun vnet_hdr${queues} user 0`,
      `link set dev ${device} mtu ${mtu}`,
    ]);
    const there = several ? uniqueDevice() : "tun";
    const count = String(parallel);
    const ssh = context.ssh([], { ...SCRIPT, args: [`${there}%d`, count] });
    const beside = several
      ? context.beside(
        ["/bin/sh", "-c", BESIDE, "pvpn", PUMP, `${there}0`, count],
        "<server>",
      )
      : [];
    const { pairs, pair6 } = context;
    const local = [...pairs, ...pair6 === undefined ? [] : [pair6]]
      .map((pair) => formatAddress(pair.local));
    const state = resume ? "old" : "new";
    const words = [device, local.join(), count, state, String(ssh.length)];
    const argv = ["perl", "-we", PUMP, ...words, ...ssh, ...beside];
    const remote = await context.carry(argv, {
      prepared: made,
      until: (line) => {
        const [, up] = /^pump: only (\d+)$/.exec(line) ?? [];
        if (up !== undefined) {
          context.log.warn(
            `only ${up} of ${parallel} ssh processes are up; the others are ` +
              "tried again and again",
          );
        }
        return line === "pump: ready";
      },
      ...(several
        ? {
          tell: (server: Address | undefined) =>
            `server ${
              // One of a link alone is nothing without the link.
              server === undefined || isLinkLocal(server)
                ? ""
                : formatAddress(server)}`,
        }
        : {}),
      // What it takes the server to end is told by why it is ended.
      chatter: /^(?:pump: |Killed by signal 15)/,
      explain,
    });
    return { remote };
  },
};
