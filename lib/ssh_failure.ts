/**
 * What it means when ssh ends before the tunnel is up: its own words, read
 * for the cause.
 *
 * @module
 */
import { ExitCode, PvpnError, UnfitError } from "./errors.ts";
import { REMEDIES } from "./remedy.ts";

/** A cause: the text that tells it, and what to say. */
interface Cause {
  readonly pattern: RegExp;
  readonly code: ExitCode;
  readonly message: (host: string, found: RegExpExecArray) => string;
  readonly hints: (host: string) => readonly string[];
  /** Whether the server refused who ssh said to be. */
  readonly login?: true;
  /** Whether it is `-w` that was refused. */
  readonly tunnel?: true;
}

const sshHint = (host: string) => [`see whether this works: ssh ${host} true`];

// What others have commands for, and pvpn options: a host may be called so.
const COMMANDS = new Map([
  ...["up", "start", "connect"].map((word) => [word, "SSH-HOST"] as const),
  ...["down", "stop", "disconnect"].map((word) => [word, "--stop"] as const),
  ...["list", "show", "status"].map((word) => [word, "--list"] as const),
  ...["check", "help", "version"].map((word) => [word, `--${word}`] as const),
]);

function unknownHost(host: string): string[] {
  const command = COMMANDS.get(host);
  if (command !== undefined) return [`did you mean pvpn ${command}?`];
  const [, name, port] = /^([^:/]+):(\d+)$/.exec(host) ?? [];
  return port === undefined
    ? ["look for a typing mistake; see Host in ssh_config(5)"]
    : [`a port is named so: ssh://${name}:${port}`];
}

// In the order in which they are looked for: the first that is found in any
// line is the cause. Texts of OpenSSH 7.7 to 10.x (sources named).
const CAUSES: readonly Cause[] = [
  { // serverloop.c, server_request_tun
    pattern: /Server has rejected tunnel device forwarding/,
    tunnel: true,
    code: ExitCode.server,
    message: (host) => `the sshd of "${host}" does not permit tunnels`,
    hints: () => [
      `type there: ${REMEDIES.permitTunnel}`,
      'also look for "DisableForwarding", and for "restrict" in front of ' +
      "your key in authorized_keys",
    ],
  },
  { // serverloop.c, server_request_tun
    pattern: /Failed to open the tunnel device/,
    tunnel: true,
    code: ExitCode.server,
    message: (host) => `the sshd of "${host}" could not make a tunnel device`,
    hints: () => [
      "log in as root (root@HOST), who may make tunnel devices",
      `or see whether /dev/net/tun is there: ${REMEDIES.loadTun}`,
    ],
  },
  { // misc.c, tun_open; port-net.c, sys_tun_open
    pattern: /tun_open: failed to .*: (.+)$/,
    tunnel: true,
    code: ExitCode.network,
    message: (_, [, why]) => `ssh could not open the tunnel device: ${why}`,
    hints: () => [`see whether /dev/net/tun is there: ${REMEDIES.loadTun}`],
  },
  { // channels.c and clientloop.c, where no reason was sent
    pattern: /Tunnel (?:device )?forwarding failed|Could not request tunnel/,
    tunnel: true,
    code: ExitCode.server,
    message: (host) => `the sshd of "${host}" refused the tunnel`,
    hints: () => [`type there: ${REMEDIES.permitTunnel}`],
  },
  { // channels.c and ssh.c: one of the user's own forwardings
    pattern:
      /cannot listen to port: (\d+)|Could not request local forwarding|remote port forwarding failed for listen port (\d+)/,
    code: ExitCode.ssh,
    message: (host) =>
      `a LocalForward, RemoteForward or DynamicForward in the ssh ` +
      `configuration of "${host}" could not be set up`,
    hints: () => [
      "its port is in use; end the ssh that has it, or take the line away " +
      "for this host",
    ],
  },
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    code: ExitCode.ssh,
    message: (host) => `the host key of "${host}" has changed`,
    hints: (host) => [
      "somebody may be listening; see what ssh says before you go on: " +
      `ssh ${host} true`,
    ],
  },
  {
    pattern: /Host key verification failed|No .* host key is known for/,
    code: ExitCode.ssh,
    message: (host) => `the host key of "${host}" is not known`,
    hints: (host) => [`connect once by hand to confirm it: ssh ${host} true`],
  },
  {
    pattern: /Could not resolve hostname (\S+): (.*)$/,
    code: ExitCode.ssh,
    message: (_, [, name, why]) =>
      `the host "${name}" is not known: ${why?.toLowerCase()}`,
    hints: unknownHost,
  },
  {
    pattern:
      /^\S+@\S+: Permission denied(?: \((.*)\))?\.?$|Too many authentication/,
    code: ExitCode.ssh,
    message: (host, [, methods]) =>
      `"${host}" refused the login` +
      (methods ? `; it takes: ${methods.replaceAll(",", ", ")}` : ""),
    hints: sshHint,
    login: true,
  },
  {
    pattern:
      /connect to (?:host|address) (\S+) port (\d+): (.*)$|\b(Connection (?:closed|reset|timed out|to \S+ closed by).*)$/,
    code: ExitCode.ssh,
    message: (host, [, name = host, port, why, other]) =>
      port === undefined
        ? `the connection to "${name}" was lost: ${other}`
        : `no connection to "${name}", port ${port}: ${why?.toLowerCase()}`,
    hints: (host) => [
      `see whether the server runs sshd on that port: ssh -v ${host} true`,
    ],
  },
  { // readconf.c: an option that this ssh does not know
    pattern: /(Bad configuration option: \S+|[Uu]nsupported option .*)$/,
    code: ExitCode.usage,
    message: (_, [, text]) => `ssh refuses its configuration: ${text}`,
    hints: () => ["see SSH_ARGS and ~/.ssh/config"],
  },
];

/**
 * What ssh's own words say is the cause.
 *
 * @param host SSH-HOST.
 * @param lines What ssh and the server printed on stderr.
 * @param loginHints What may help where the login was refused.
 * @returns `undefined` where they say nothing that is known.
 */
export function findCause(
  host: string,
  lines: readonly string[],
  loginHints: readonly string[] = [],
): PvpnError | undefined {
  for (const { pattern, code, message, hints, login, tunnel } of CAUSES) {
    // The last: what was tried before may have been no failure.
    for (const line of lines.toReversed()) {
      const found = pattern.exec(line);
      if (found === null) continue;
      const more = login ? loginHints : [];
      const text = message(host, found);
      const all = [...more, ...hints(host)];
      return tunnel
        ? new UnfitError(code, text, all)
        : new PvpnError(code, text, all);
    }
  }
  return undefined;
}

/**
 * Why ssh ended, as an error.
 *
 * @param host SSH-HOST.
 * @param lines What ssh and the server printed on stderr.
 * @param status ssh's exit status, or 128 and the signal's number.
 */
export function explainSshFailure(
  host: string,
  lines: readonly string[],
  status: number,
): PvpnError {
  const cause = findCause(host, lines);
  if (cause !== undefined) return cause;
  const last = lines.findLast((line) => !/^debug\d:|^\s*$/.test(line));
  return new PvpnError(
    ExitCode.ssh,
    `ssh to "${host}" ended with status ${status}` +
      (last === undefined ? "" : `: ${last}`),
    sshHint(host),
  );
}
