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
} from "../mod.ts";

const TUN_NODE = "/dev/net/tun";

const tunNode: Check = {
  name: `${TUN_NODE} on this machine`,
  hint: "modprobe tun; in a container, ask for the device",
  async passes() {
    try {
      return (await Deno.stat(TUN_NODE)).isCharDevice === true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  },
};

/** OpenSSH's layer-3 tunnel. */
export const ssh3: TunnelPlugin = {
  version: INTERFACE_VERSION,
  type: "ssh-3",
  summary: "OpenSSH's own tunnel; needs PermitTunnel there",
  device: "tun",
  commands: ["ip", "ssh"],

  checks: () => [tunNode],

  async open(
    context: TunnelContext,
    { device, mtu, resume }: TunnelOptions,
  ): Promise<Tunnel> {
    // Made before ssh takes it, and persistent: it outlives ssh, so that a
    // lost connection drops packets instead of letting them out in clear.
    // No IPv6 link-local address, on kernels that give one: nobody would
    // answer what it sends.
    const words = (line: string) => ({ words: line.split(" ") });
    const made = resume ? undefined : context.ip([deleteLink(device)], [
      words(`tuntap add dev ${device} mode tun`),
      { ...words(`link set dev ${device} addrgenmode none`), optional: true },
      words(`link set dev ${device} mtu ${mtu} up`),
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
    return { remote: await context.carry(argv, { prepared: made }) };
  },
};
