/**
 * What is to be typed where something is missing: the same words whether
 * `--check` finds it or a connect fails of it.
 *
 * @module
 */

/** Commands that mend what servers and machines lack; root's, on that end. */
export const REMEDIES = {
  /**
   * Lets sshd make layer-3 tunnels. The first value counts, and no Match block
   * can come before it (sshd_config(5)).
   */
  permitTunnel: "sed -i '1i PermitTunnel yes' /etc/ssh/sshd_config && " +
    "systemctl reload ssh",
  /** Takes a DisableForwarding away, in the same way. */
  allowForwarding: "sed -i '1i DisableForwarding no' /etc/ssh/sshd_config && " +
    "systemctl reload ssh",
  /** Loads the driver of tun devices. */
  loadTun: "modprobe tun",
  /** Loads the driver of PPP over ssh. */
  loadPpp: "modprobe ppp_async",
  /** Installs pppd. */
  installPpp: "apt install ppp",
} as const;
