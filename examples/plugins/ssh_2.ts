/**
 * `ssh-2`: OpenSSH's layer-2 tunnel, which carries Ethernet frames (ssh(1),
 * `-w` with `Tunnel=ethernet`). pvpn gives it an address at both ends; what
 * else runs on it, such as a DHCP server there or a protocol that is not IP,
 * is yours to set up.
 *
 * It is compiled in: make PLUGINS=examples/plugins/ssh_2.ts
 * The server needs "PermitTunnel yes" (or "ethernet") in its sshd_config.
 *
 * @module
 */
import {
  type Check,
  deleteLink,
  INTERFACE_VERSION,
  type TunnelPlugin,
} from "@pvpn/pvpn";

const node: Check = {
  name: "/dev/net/tun on this machine",
  hint: "modprobe tun; in a container, ask for the device",
  async passes(query) {
    const argv = ["sh", "-c", "[ -c /dev/net/tun ]"];
    return (await query(argv, { anyStatus: true })).status === 0;
  },
};

const plugin: TunnelPlugin = {
  version: INTERFACE_VERSION,
  type: "ssh-2",
  summary: "OpenSSH's layer-2 tunnel; needs PermitTunnel there",
  device: "tap",
  commands: ["ip", "sh", "ssh"],

  checks: () => [node],

  async open(context, { device, mtu, resume, uid }) {
    if (!resume) {
      // Made before ssh has it, so that it is there while ssh is not, and what
      // is routed into it is dropped then; and for ssh's user, or anybody
      // could attach to it.
      await context.ip([deleteLink(device)], [
        `tuntap add dev ${device} mode tap user ${uid}`,
        `link set dev ${device} mtu ${mtu}`,
      ]);
    }
    const unit = device.slice("tap".length);
    const argv = context.ssh(["-oTunnel=ethernet", "-w", `${unit}:any`], {
      // sshd says which device it has made.
      device: "device=${SSH_TUNNEL:-}",
      hold: "while read -r _; do :; done",
    });
    return { remote: await context.carry(argv) };
  },
};

export default plugin;
