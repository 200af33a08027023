/**
 * ssh: whom to connect to, and its argument vector.
 *
 * @module
 */
import { ExitCode, PvpnError, UsageError } from "./errors.ts";

/** How ssh(1) is to be called for a tunnel. */
export interface SshTarget {
  /** SSH-HOST as it was typed: `[USER@]HOST`, or a Host of ssh_config(5). */
  readonly host: string;
  /** The words of `SSH_ARGS`. */
  readonly args: readonly string[];
}

/** What `ssh -G` says that ssh would do. */
export interface SshConfig {
  /** The name or address that ssh connects to, or has a proxy connect to. */
  readonly hostname: string;
  /** Under which name its key is known, where that is another. */
  readonly hostKeyAlias: string | undefined;
  /** The TCP port. */
  readonly port: number;
  /** Whether a ProxyJump or ProxyCommand makes the connection. */
  readonly proxied: boolean;
  /** The ciphers that may be used, best first. */
  readonly ciphers: readonly string[];
  /** Whether the user's configuration has a ConnectTimeout. */
  readonly connectTimeout: boolean;
}

/**
 * Parses SSH-HOST.
 *
 * @throws {UsageError} Where ssh could take it for an option, or it has a
 * character that OpenSSH refuses in a user or host since 9.6, because the
 * user's ProxyCommand or Match exec could hand it to a shell.
 */
export function parseHost(text: string): string {
  if (text === "") {
    throw new UsageError("SSH-HOST is empty", "it is [USER@]HOST, as for ssh");
  }
  if (text.startsWith("-") || text.includes("@-")) {
    throw new UsageError(
      `SSH-HOST cannot start with "-": "${text}"`,
      "type pvpn --help for the options",
    );
  }
  const bad = /[^\w.@:%/[\]+-]/.exec(text);
  if (bad !== null) {
    throw new UsageError(
      `"${text}" is not a host: it has ${JSON.stringify(bad[0])} in it`,
      "SSH-HOST is [USER@]HOST, as for ssh",
    );
  }
  return text;
}

// Against a user's configuration that would take the tunnel away without a
// word (ssh_config(5), and clear_forwardings() in readconf.c, which clears
// tunnels too), and for a server that is not trusted with more than packets.
const SAFE_OPTIONS: readonly (readonly [string, string])[] = [
  ["ControlMaster", "no"],
  ["ControlPath", "none"],
  ["ClearAllForwardings", "no"],
  ["ExitOnForwardFailure", "yes"],
  ["PermitLocalCommand", "no"],
  ["RemoteCommand", "none"],
  ["ForwardAgent", "no"],
  ["ForwardX11", "no"],
  ["Compression", "no"],
  // 10 s apart, three unanswered: a dead link is noticed in 30 to 40 s. In
  // the encrypted channel, so that nobody can fake an answer.
  ["ServerAliveInterval", "10"],
  ["ServerAliveCountMax", "3"],
  ["TCPKeepAlive", "yes"],
  // What 10.1 does for traffic that is not interactive; before, it was CS1,
  // which some networks treat worse than anything else.
  ["IPQoS", "none"],
  // Why a server refuses a tunnel is sent as a debug message only.
  ["LogLevel", "DEBUG1"],
];

// What ssh reads first wins. The first ssh has the ports that are forwarded.
const BESIDE = [["LogLevel", "ERROR"], ["ClearAllForwardings", "yes"]] as const;

/** Options of the user's that would take the tunnel away, as `-G` has them. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  controlmaster: ["false", "no"],
  clearallforwardings: ["no"],
  exitonforwardfailure: ["yes"],
  permitlocalcommand: ["no"],
  sessiontype: ["default"],
  stdinnull: ["no"],
  forkafterauthentication: ["no"],
};

const options = (pairs: readonly (readonly [string, string])[]): string[] =>
  pairs.map(([key, value]) => `-o${key}=${value}`);

/** The argument vector that asks ssh what it would do; connects nowhere. */
export function configArgv(target: SshTarget): string[] {
  const { args, host } = target;
  return [
    ...["ssh", ...args, "-T", ...options(SAFE_OPTIONS)],
    // With a command, or ForkAfterAuthentication would end it unnamed.
    ...["-G", "--", host, "true"],
  ];
}

/**
 * Reads what `ssh -G` prints.
 *
 * @throws {UsageError} Where an option of the user's would take the tunnel
 * away; it names the option.
 */
export function parseConfig(text: string, host: string): SshConfig {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(" ");
    if (at > 0) values.set(line.slice(0, at).toLowerCase(), line.slice(at + 1));
  }
  for (const [key, allowed] of Object.entries(NEEDED)) {
    const value = values.get(key);
    if (value === undefined || allowed.includes(value)) continue;
    throw new UsageError(
      `ssh's option ${key} is "${value}" for "${host}", which leaves no tunnel`,
      `set it to "${allowed.at(-1)}" in ssh_config, or type SSH_ARGS=-o${key}=${
        allowed.at(-1)
      }`,
    );
  }
  const set = (key: string) => {
    const value = values.get(key);
    return value === "none" ? undefined : value;
  };
  const port = Number(values.get("port"));
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new PvpnError(ExitCode.ssh, `ssh has no port for "${host}"`);
  }
  return {
    hostname: values.get("hostname") ?? host,
    hostKeyAlias: set("hostkeyalias"),
    port,
    proxied: (set("proxyjump") ?? set("proxycommand")) !== undefined,
    ciphers: values.get("ciphers")?.split(",") ?? [],
    connectTimeout: set("connecttimeout") !== undefined,
  };
}

/**
 * The ciphers to ask for: AES-GCM first where the CPU has AES instructions,
 * all others behind it in the order in which they were.
 *
 * @returns `undefined` where there is nothing to change: the CPU has none,
 * or what comes first is not OpenSSH's own first choice, so somebody chose.
 */
export function preferredCiphers(
  ciphers: readonly string[],
  aes: boolean,
): string[] | undefined {
  if (!aes || ciphers[0] !== "chacha20-poly1305@openssh.com") return undefined;
  const gcm = ciphers.filter((name) => /^aes\d+-gcm@/.test(name));
  if (gcm.length === 0) return undefined;
  return [...gcm, ...ciphers.filter((name) => !gcm.includes(name))];
}

/** What the argument vector of a session depends on, beside the target. */
export interface SessionOptions {
  /** What {@linkcode parseConfig} found. */
  readonly config: SshConfig;
  /** Whether this CPU has AES instructions. */
  readonly aes: boolean;
  /** No terminal to ask on: fail instead of prompting. */
  readonly batch: boolean;
  /** Whether it is not the first: it forwards no ports, and says only errors. */
  readonly beside?: boolean;
  /** The address to connect to without asking a resolver. */
  readonly address?: string;
  /** The tunnel type's own options, such as `-w`. */
  readonly options: readonly string[];
  /** The remote command. */
  readonly command: string;
}

/**
 * The argument vector of an ssh process of a tunnel.
 *
 * @param target Whom to connect to.
 * @param session The rest.
 */
export function sessionArgv(
  target: SshTarget,
  session: SessionOptions,
): string[] {
  const { config, address } = session;
  const ciphers = preferredCiphers(config.ciphers, session.aes);
  const more: [string, string][] = [];
  if (ciphers !== undefined) more.push(["Ciphers", ciphers.join(",")]);
  if (!config.connectTimeout) more.push(["ConnectTimeout", "20"]);
  if (session.batch) more.push(["BatchMode", "yes"]);
  if (address !== undefined && !config.proxied) {
    // The key is looked up under the name, as if it had been resolved.
    const { hostname, port } = config;
    const known = port === 22 ? hostname : `[${hostname}]:${port}`;
    more.push(["HostName", address]);
    more.push(["HostKeyAlias", config.hostKeyAlias ?? known]);
  }
  return [
    "ssh",
    ...target.args,
    "-T",
    ...options([
      ...session.beside ? BESIDE : [],
      ...SAFE_OPTIONS,
      ...more,
    ]),
    ...session.options,
    "--",
    target.host,
    session.command,
  ];
}
