/**
 * `ssh-3`: OpenSSH's own layer-3 tunnel, `ssh -w` (ssh(1), SSH-BASED VIRTUAL
 * PRIVATE NETWORKS).
 *
 * @module
 */
import {
  type Check,
  deleteLink,
  INTERFACE_VERSION,
  type Tunnel,
  type TunnelContext,
  type TunnelOptions,
  type TunnelPlugin,
} from "../plugin.ts";
import { TUN_NODE, tunNode } from "./tun.ts";
import { SSH_3_THERE } from "./needs.ts";

const openNode = ({ asUser }: TunnelOptions): Check => ({
  name: `${TUN_NODE} to be open to the user that ssh runs as`,
  hint: `chmod 666 ${TUN_NODE}, as udev has it; a device in it can only be ` +
    "used by its owner. Or let ssh run as root: --ssh-user root",
  async passes(query) {
    const argv = asUser(["sh", "-c", `: <>${TUN_NODE}`]);
    return (await query(argv, { anyStatus: true })).status === 0;
  },
});

/** OpenSSH's layer-3 tunnel. */
export const ssh3: TunnelPlugin = {
  version: INTERFACE_VERSION,
  type: "ssh-3",
  summary: "OpenSSH's own tunnel; needs PermitTunnel there",
  device: "tun",
  openssh: "7.8", // 7.7p1 forwards no packets: OpenSSH bug 2855
  commands: ["ip", "sh", "ssh"],

  checks: (options) => [
    tunNode,
    ...options.uid === 0 ? [] : [openNode(options)],
  ],
  remoteChecks: () => SSH_3_THERE,

  async open(
    context: TunnelContext,
    { device, mtu, resume, uid }: TunnelOptions,
  ): Promise<Tunnel> {
    // Made before ssh takes it, and persistent: it outlives ssh, so that a
    // lost connection drops packets instead of letting them out in clear.
    // It is the user's whom ssh runs as: without an owner, anyone who may open
    // /dev/net/tun could attach to it while ssh does not (tun_not_capable() in
    // tun.c).
    const made = resume ? undefined : context.ip([deleteLink(device)], [
      `tuntap add dev ${device} mode tun user ${uid}`,
      `link set dev ${device} mtu ${mtu}`,
    ]);
    const unit = device.slice("tun".length);
    // The server's unit is any: sshd takes a free one, or the one that
    // tunnel="N" in authorized_keys gives, and says which in SSH_TUNNEL.
    const argv = context.ssh(
      ["-oTunnel=point-to-point", "-w", `${unit}:any`],
      {
        device: "device=${SSH_TUNNEL:-}",
        hold: "while read -r _; do :; done",
      },
    );
    const remote = await context.carry(argv, { prepared: made });
    return { remote };
  },
};
