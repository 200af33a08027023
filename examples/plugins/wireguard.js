/**
 * `wireguard`: ssh hands over fresh keys, and stays to take the server's end
 * back; the kernel's WireGuard (wg(8)) carries the packets, over UDP. Loaded at
 * run time: copy it to /usr/local/lib/pvpn/plugins.
 */
import {
  deleteLink,
  ExitCode,
  formatAddress,
  INTERFACE_VERSION,
  PvpnError,
} from "@pvpn/pvpn";

const TOOLS = "apt install wireguard-tools on Debian";
const WAY_OUT = "or let ssh carry the packets: -t ssh-3, -t ppp";

// When such a device comes up, the kernel forbids all others to send redirects
// (wg_open() in device.c), and never takes that back. Nothing may come between.
const WAKE = `
wake() (
  trap '' HUP INT PIPE TERM
  redirects=/proc/sys/net/ipv4/conf/all/send_redirects
  read -r was <$redirects
  ip link set dev "$1" up 2>/dev/null
  set $? && echo "$was" >$redirects && exit "$1"
)`;

// $1 is this machine's public key. The device's name is the session's alone, for
// undo. The port is WireGuard's usual one, which firewalls know, or a free one.
const SERVER = `${WAKE}
command -v wg >/dev/null 2>&1 || fail wg
device=pvwg$$
why=$(ip link add dev "$device" type wireguard 2>&1) || fail kernel $why
wg genkey | wg set "$device" private-key /dev/stdin listen-port 51820 \\
  peer "$1" allowed-ips 0.0.0.0/0,::/0
wake "$device" || { wg set "$device" listen-port 0; wake "$device"; }
tell key "$(wg show "$device" public-key)"
tell port "$(wg show "$device" listen-port)"`;

// Gives the device $1 a new key, and no peer; prints the public one.
const NEW_KEY = `
for peer in $(wg show "$1" peers); do wg set "$1" peer "$peer" remove; done
wg genkey | wg set "$1" private-key /dev/stdin && wg show "$1" public-key`;

// $1 to $3: the device, the server's key, where it is. It says hello when it
// is up, again after 5 s; no event tells when it was answered.
const MEET = `${WAKE}
wg set "$1" peer "$2" endpoint "$3" allowed-ips 0.0.0.0/0,::/0 \\
  persistent-keepalive 25 && wake "$1" || exit
tries=0
until wg show "$1" latest-handshakes | { read -r _ at && [ "$at" -gt 0 ]; }; do
  [ $((tries += 1)) -lt 120 ] || exit 9
  sleep 0.1
done`;

/** @type {import("@pvpn/pvpn").Check} */
const tools = {
  name: "wg on this machine",
  hint: `${TOOLS}; ${WAY_OUT}`,
  async passes(query) {
    const argv = ["sh", "-c", "command -v wg"];
    return (await query(argv, { anyStatus: true })).status === 0;
  },
};

/** @type {import("@pvpn/pvpn").TunnelPlugin} */
export default {
  version: INTERFACE_VERSION,
  type: "wireguard",
  summary: "the kernel's WireGuard; ssh exchanges its keys",
  device: "pvwg",
  commands: ["ip", "sh", "ssh", "wg"],
  mtu: 1420, // as wg-quick(8) has it: 80 bytes for the outer headers

  checks: () => [tools],

  async open(context, { device, mtu, resume }) {
    if (!resume) {
      await context.ip([deleteLink(device)], [
        `link add dev ${device} mtu ${mtu} type wireguard`,
      ]);
    }
    const fresh = ["sh", "-c", NEW_KEY, "wireguard", device];
    const { stdout } = await context.change([], fresh);
    const argv = context.ssh([], {
      args: [stdout.trim() || "(the public key)"], // in a dry run, there is none
      device: SERVER,
      hold: "while read -r _; do :; done",
      undo: 'ip link delete dev "pvwg$$"',
      reports: { key: /^[A-Za-z0-9+/]{43}=$/, port: /^\d{1,5}$/ },
      errors: {
        wg: () => ({ message: 'the server has no "wg"', hints: [TOOLS] }),
        kernel: (why) => ({
          message: `the server's kernel made no WireGuard device: ${why}`,
          hints: ["see, there: modprobe wireguard", WAY_OUT],
        }),
      },
    });
    const remote = await context.carry(argv);
    const { key = "", port = "" } = remote.told;
    const address = await context.server();
    if (address === undefined) {
      const why = "WireGuard does not go through the proxy that ssh uses";
      throw new PvpnError(ExitCode.network, why, [WAY_OUT]);
    }
    await context.outside({ protocol: "udp", address, port });
    const ip = formatAddress(address);
    const at = address.family === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
    const meet = ["sh", "-c", MEET, "wireguard", device, key, at];
    const met = await context.change([], meet, { anyStatus: true });
    if (met.status === 0) return { remote };
    const why = met.status === 9
      ? `UDP does not pass between here and ${at}: no answer`
      : met.stderr;
    const hint = `let it in at the server's firewall: UDP, port ${port}`;
    throw new PvpnError(ExitCode.network, why, [hint, WAY_OUT]);
  },
};
