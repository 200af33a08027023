/** What OpenSSH prints when it fails, and what a user has to be told of it. */
import { ExitCode } from "../../lib/errors.ts";

/** A case: what ssh printed, and what the user has to be told. */
export interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly code: number;
  readonly says: RegExp;
  readonly hint?: RegExp;
}

// What ssh prints at LogLevel DEBUG1 before any of the failures (OpenSSH 9.2).
const BEFORE = [
  "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026",
  "debug1: Reading configuration data /root/.ssh/config",
  "debug1: Connecting to proxy [192.0.2.1] port 22.",
];
// ... and when its own end of the tunnel is open already.
const OPENED = [
  ...BEFORE,
  'Authenticated to proxy ([192.0.2.1]:22) using "publickey".',
  "debug1: Requesting tun unit 0 in mode 1",
  "debug1: sys_tun_open: tun0 mode 1 fd 5",
];

/** All of them. */
export const CASES: readonly Case[] = [
  {
    name: "PermitTunnel no",
    lines: [
      ...OPENED,
      "debug1: Remote: Server has rejected tunnel device forwarding",
      "channel 0: open failed: connect failed: open failed",
      "Tunnel forwarding failed",
    ],
    code: ExitCode.server,
    says: /does not permit tunnels/,
    hint: /PermitTunnel yes.*DisableForwarding.*restrict/s,
  },
  {
    name: "no right to a tunnel device there",
    lines: [
      ...OPENED,
      "debug1: Remote: Failed to open the tunnel device.",
      "channel 0: open failed: connect failed: open failed",
      "Tunnel forwarding failed",
    ],
    code: ExitCode.server,
    says: /could not make a tunnel device/,
    hint: /root@HOST.*modprobe tun/s,
  },
  {
    name: "refused without a reason",
    lines: [...OPENED, "channel 0: open failed: x", "Tunnel forwarding failed"],
    code: ExitCode.server,
    says: /refused the tunnel/,
    hint: /PermitTunnel/,
  },
  {
    name: "no /dev/net/tun here",
    lines: [
      ...BEFORE,
      'debug1: sys_tun_open: failed to open tunnel control device "/dev/net/tun": No such file or directory',
      "Tunnel device open failed.",
      "Could not request tunnel forwarding.",
    ],
    code: ExitCode.network,
    says: /could not open the tunnel device: .*No such file/,
    hint: /modprobe tun/,
  },
  {
    name: "the tunnel device here is busy",
    lines: [
      ...BEFORE,
      "debug1: sys_tun_open: failed to configure tunnel (mode 1): Device or resource busy",
      "Tunnel device open failed.",
      "Could not request tunnel forwarding.",
    ],
    code: ExitCode.network,
    says: /could not open the tunnel device: .*Device or resource busy/,
  },
  {
    name: "a LocalForward whose port is in use",
    lines: [
      ...BEFORE,
      "bind [127.0.0.1]:8080: Address already in use",
      "channel_setup_fwd_listener_tcpip: cannot listen to port: 8080",
      "Could not request local forwarding.",
    ],
    code: ExitCode.ssh,
    says: /LocalForward/,
    hint: /port is in use/,
  },
  {
    name: "a RemoteForward whose port is in use, with the tunnel open",
    lines: [
      ...OPENED,
      "debug1: remote forward failure for: listen 8080, connect localhost:80",
      "Error: remote port forwarding failed for listen port 8080",
    ],
    code: ExitCode.ssh,
    says: /RemoteForward/,
    hint: /port is in use/,
  },
  {
    name: "a changed host key",
    lines: [
      ...BEFORE,
      "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
      "Host key for proxy has changed and you have requested strict checking.",
      "Host key verification failed.",
    ],
    code: ExitCode.ssh,
    says: /host key of "proxy" has changed/,
  },
  {
    name: "an unknown host key",
    lines: [
      ...BEFORE,
      "No ED25519 host key is known for proxy and you have requested strict checking.",
      "Host key verification failed.",
    ],
    code: ExitCode.ssh,
    says: /host key of "proxy" is not known/,
    hint: /ssh proxy true/,
  },
  {
    name: "an unknown name",
    lines: [
      ...BEFORE,
      "ssh: Could not resolve hostname proxi: Name or service not known",
    ],
    code: ExitCode.ssh,
    says: /"proxi" is not known: name or service not known/,
    hint: /typing mistake/,
  },
  {
    name: "a login that is refused",
    lines: [
      ...BEFORE,
      "Permission denied, please try again.",
      "root@proxy: Permission denied (publickey,password).",
    ],
    code: ExitCode.ssh,
    says: /refused the login; it takes: publickey, password$/,
  },
  {
    name: "too many keys",
    lines: [
      ...BEFORE,
      "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures",
      "Disconnected from 192.0.2.1 port 22",
    ],
    code: ExitCode.ssh,
    says: /refused the login/,
  },
  {
    name: "a closed port",
    lines: [
      ...BEFORE,
      "debug1: connect to address 192.0.2.1 port 22: Connection refused",
      "ssh: connect to host proxy port 22: Connection refused",
    ],
    code: ExitCode.ssh,
    says:
      /no connection to "(?:proxy|192\.0\.2\.1)", port 22: connection refused/,
  },
  {
    name: "a route that prohibits the way (EACCES)",
    lines: [
      ...BEFORE,
      "debug1: connect to address 192.0.2.1 port 22: Permission denied",
      "ssh: connect to host proxy port 22: Permission denied",
    ],
    code: ExitCode.ssh,
    says: /no connection to/,
  },
  {
    name: "a server that hangs up, after its first address was out of reach",
    lines: [
      ...BEFORE,
      "debug1: connect to address 2001:db8::1 port 22: Network is unreachable",
      "debug1: Connecting to proxy [192.0.2.1] port 22.",
      "debug1: Connection established.",
      "kex_exchange_identification: Connection closed by remote host",
      "Connection closed by 192.0.2.1 port 22",
    ],
    code: ExitCode.ssh,
    says: /Connection closed by/,
  },
  {
    name: "a key that cannot be read, and a server that hangs up",
    lines: [
      ...BEFORE,
      'Load key "/root/.ssh/id_rsa": Permission denied',
      "Connection closed by 192.0.2.1 port 22",
    ],
    code: ExitCode.ssh,
    says: /Connection closed by/,
  },
  {
    name: "a connection that is lost with the tunnel open",
    lines: [...OPENED, "Connection reset by 192.0.2.1 port 22"],
    code: ExitCode.ssh,
    says: /Connection reset by 192\.0\.2\.1/,
  },
  {
    name: "an option that this ssh does not know",
    lines: [
      "command-line: line 0: Bad configuration option: nonsense",
    ],
    code: ExitCode.usage,
    says: /Bad configuration option: nonsense/,
    hint: /SSH_ARGS/,
  },
  {
    name: "a file with several such options",
    lines: [
      "/root/.ssh/config: line 3: Bad configuration option: nonsense",
      "/root/.ssh/config: terminating, 1 bad configuration options",
    ],
    code: ExitCode.usage,
    says: /refuses its configuration/,
  },
  {
    name: "no algorithm in common",
    lines: [
      ...BEFORE,
      "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-rsa",
    ],
    code: ExitCode.ssh,
    says: /Their offer: ssh-rsa/,
  },
];
