/**
 * `ssh-gso`: packets of up to 64 KiB over one ssh's standard input and output.
 * A pump on each end reads them from a TUN device that leaves segmentation to
 * others. Needs no permission of sshd's.
 *
 * @module
 */
import {
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
// descriptor 3. Its device goes with it.
const SCRIPT: RemoteScript = {
  hold: `
command -v perl >/dev/null 2>&1 || fail perl
exec 4>&1
perl -e '${PUMP}' tun%d "$peer\${peer6:+,$peer6}" 3>&1 >&4 4>&- |
  while read -r what text; do
    case $what in
      device)
        device=$text
        up
        report "$device" ;;
      error) fail pump "$text" ;;
    esac
  done`,
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
  commands: ["ip", "perl", "sh", "ssh"],

  checks: () => [tunNode, perl],
  remoteChecks: () => SSH_GSO_THERE,

  async open(
    context: TunnelContext,
    { device, mtu, resume }: TunnelOptions,
  ): Promise<Tunnel> {
    // As ssh-3's, but for root: it is the pump that attaches to it, not ssh.
    const made = resume ? undefined : context.ip([deleteLink(device)], [
      `tuntap add dev ${device} mode tun vnet_hdr user 0`,
      `link set dev ${device} mtu ${mtu}`,
    ]);
    const ssh = context.ssh([], SCRIPT);
    const { pairs, pair6 } = context;
    const local = [...pairs, ...pair6 === undefined ? [] : [pair6]]
      .map((pair) => formatAddress(pair.local));
    const argv = ["perl", "-e", PUMP, device, local.join(), ...ssh];
    const remote = await context.carry(argv, {
      prepared: made,
      until: (line) => line === "pump: ready",
      // What it takes the server to end is told by why it is ended.
      chatter: /^(?:pump: |Killed by signal 15)/,
      explain,
    });
    return { remote };
  },
};
