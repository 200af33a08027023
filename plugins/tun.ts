/**
 * What the types with a TUN device need of this machine.
 *
 * @module
 */
import type { Check } from "../plugin.ts";

/** What makes TUN devices, and attaches to them. */
export const TUN_NODE = "/dev/net/tun";

/** Whether it is there. */
export const tunNode: Check = {
  name: `${TUN_NODE} on this machine`,
  hint: "modprobe tun; in a container, ask for the device",
  async passes(query) {
    const argv = ["sh", "-c", `[ -c ${TUN_NODE} ]`];
    return (await query(argv, { anyStatus: true })).status === 0;
  },
};
