/**
 * The plugin interface: what a tunnel type is.
 *
 * A plugin makes a pair of devices, one on each end, and nothing else.
 * Addresses, routes, rules, state, reconnecting and undo are the core's.
 *
 * @module
 */
import type { Address } from "./address.ts";
import type { Argv, CommandOutput, RunOptions } from "./command.ts";
import type { IpLine } from "./link.ts";
import type { PvpnError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { Pair } from "./pair.ts";
import type { RemoteFacts } from "./remote.ts";
import type { RemoteScript } from "./remote_script.ts";
import type { UndoStep } from "./undo_step.ts";

/** The version of this interface; a plugin says which one it was written to. */
export const INTERFACE_VERSION = 1;

/** MTU of a tunnel's devices where neither user nor type says one, in bytes. */
export const DEFAULT_MTU = 1500;

/**
 * The largest MTU of a tunnel's devices, in bytes: ssh reads no larger frame
 * whole (CHAN_RBUF in OpenSSH's channels.h, less its header).
 */
export const MAX_MTU = 16380;

/** Something that a tunnel type needs. */
export interface Check {
  /** What is needed, such as `/dev/net/tun on this machine`. */
  readonly name: string;
  /** What to type where it is not there. */
  readonly hint: string;
  /**
   * Whether it is there.
   *
   * @param query Runs a program of the plugin's `commands`.
   */
  passes(query: TunnelContext["query"]): Promise<boolean>;
  /** Looked at by `--check` only: connecting finds it out by itself. */
  readonly late?: boolean;
  /**
   * Prints the version of what is there, which `--check` shows: the first line
   * of its standard output.
   */
  readonly version?: Argv;
}

/** Something that a tunnel type needs on the server. */
export interface RemoteCheck {
  /** What is needed, such as `pppd`. */
  readonly name: string;
  /** What to type there where it is not. */
  readonly hint: string;
  /**
   * POSIX sh, fixed text, that changes nothing. Its status is 0 where it is
   * there, 2 where that cannot be told, and another where it is not; the first
   * line that it prints is shown.
   */
  readonly test: string;
}

/** What the user wants of a tunnel. */
export interface TunnelOptions {
  /** The name of this machine's device: claimed, and free but for a resume. */
  readonly device: string;
  /** MTU of both devices, in bytes. */
  readonly mtu: number;
  /** Whether the devices are to carry IPv6 beside IPv4. */
  readonly ipv6: boolean;
  /**
   * Whether the tunnel was up before and lost its connection: what survived
   * (a persistent device) is there and recorded already.
   */
  readonly resume: boolean;
  /** How many ssh processes are to carry it; 1 without. */
  readonly parallel?: number;
  /** The ID of the user that ssh runs as. */
  readonly uid: number;
  /** The argument vector that runs another as that user. */
  asUser(argv: Argv): string[];
}

/** What the core does for a plugin. */
export interface TunnelContext {
  /** Ends the set-up when it is aborted. */
  readonly signal: AbortSignal;
  /** Says something to the user. */
  readonly log: Log;
  /** Records how changes are taken back that a carrier makes by itself. */
  record(...undo: UndoStep[]): Promise<void>;
  /** Runs a program of the plugin's `commands` that changes nothing. */
  query(argv: Argv, options?: RunOptions): Promise<CommandOutput>;
  /** Records `undo`, then runs a program that changes this machine. */
  change(
    undo: readonly UndoStep[],
    argv: Argv,
    options?: RunOptions,
  ): Promise<CommandOutput>;
  /**
   * Records `undo`, then runs all lines in one `ip -batch`. The first line
   * makes what `undo` takes back. A text is split at its blanks.
   */
  ip(
    undo: readonly UndoStep[],
    lines: readonly (IpLine | string)[],
  ): Promise<void>;
  /** The pairs to choose from, best first. */
  readonly pairs: readonly Pair[];
  /** The IPv6 pair, where the tunnel is to carry IPv6. */
  readonly pair6: Pair | undefined;
  /**
   * The argument vector of the tunnel's one ssh process.
   *
   * @param options Options of ssh, such as `-w`, behind the core's own.
   * @param script What the server does.
   * @param pairs The pairs that the server may choose from; all, without.
   */
  ssh(
    options: readonly string[],
    script: RemoteScript,
    pairs?: readonly Pair[],
  ): string[];
  /**
   * The argument vector of another ssh, beside the tunnel's own and to the
   * same server, that runs `argv` there. It asks nobody for anything, forwards
   * no ports, and says nothing but why it fails.
   *
   * @param address What stands for the server's address in the word
   * `-oHostName=ADDRESS`, until {@linkcode CarryOptions.tell} has told it. In the
   * word behind that, `-oHostKeyAlias=NAME`, is the name. Neither is there where
   * the address cannot be seen: behind a proxy, or with `-s`.
   */
  beside(argv: Argv, address: string): string[];
  /**
   * Starts the process that carries the packets, and keeps it: ssh, or a
   * program that runs the vector of the last {@linkcode TunnelContext.ssh}.
   * ssh's standard error must come out as that process's. To be stopped, it
   * gets SIGTERM, and the device that it uses may be gone before it is.
   *
   * @returns What the server's script found, when it has said that it is
   * ready.
   * @throws {PvpnError} Why it is not; the process has ended then.
   */
  carry(argv: Argv, options?: CarryOptions): Promise<RemoteFacts>;
  /**
   * The server's address, as the connection of
   * {@linkcode TunnelContext.carry} has it.
   *
   * @returns `undefined` where something stands between, such as a ProxyJump:
   * how this machine itself would reach the server is not known then.
   */
  server(): Promise<Address | undefined>;
  /**
   * Keeps packets that carry the tunnel, beside those of ssh, outside of it.
   * Call it before they are sent.
   */
  outside(flow: Flow): Promise<void>;
}

/** Packets to one port of one host. */
export interface Flow {
  /** Their protocol. */
  readonly protocol: "tcp" | "udp";
  /** The host. */
  readonly address: Address;
  /** The port, in decimal; in a dry run, what stands for it. */
  readonly port: string;
}

/** How a carrier is started, and what is made of it. */
export interface CarryOptions {
  /**
   * Set-up on this machine that has to be done before the carrier runs; its
   * keeper is started at the same time.
   */
  readonly prepared?: Promise<unknown> | undefined;
  /**
   * Takes each line that the carrier prints until it returns true: then its
   * end is ready. May throw, which ends it.
   */
  until?(line: string): boolean;
  /**
   * Makes the line that the carrier gets on its standard input when the server
   * has said that its end is ready. That input must not be ssh's then; its end
   * means that nobody keeps the carrier any longer.
   *
   * @param server See {@linkcode TunnelContext.server}.
   */
  tell?(server: Address | undefined): string;
  /** Lines that are shown only with `-d`. */
  readonly chatter?: RegExp;
  /**
   * Why the carrier ended, or is not ready in time, where ssh says nothing
   * that is known.
   *
   * @param status Its exit status, or 128 and the signal's number; `undefined`
   * where it still runs.
   * @param lines What it, ssh and the server printed.
   */
  explain?(
    status: number | undefined,
    lines: readonly string[],
  ): PvpnError | undefined;
}

/** A tunnel through which packets can flow as soon as it has addresses. */
export interface Tunnel {
  /** What the server's script found. */
  readonly remote: RemoteFacts;
  /** Whether this machine's device has its addresses already. */
  readonly negotiated?: boolean;
}

/** A tunnel type. */
export interface TunnelPlugin {
  /** {@linkcode INTERFACE_VERSION}. */
  readonly version: typeof INTERFACE_VERSION;
  /** The word after `-t`: `[a-z0-9-]+`. */
  readonly type: string;
  /** Its line in `--help`. */
  readonly summary: string;
  /** The start of its devices' names, to which a number is added. */
  readonly device: string;
  /** The programs that it runs on this machine. */
  readonly commands: readonly string[];
  /** The MTU of its devices where none is asked for, in bytes; 1500 without. */
  readonly mtu?: number;
  /** Whether more than one ssh process can carry it: `--parallel`. */
  readonly parallel?: boolean;
  /**
   * The oldest OpenSSH that it can use, on both ends, such as `7.8`: where
   * OpenSSH itself forwards its packets (`-w`). Any, without.
   */
  readonly openssh?: string;
  /** What it needs on this machine; looked at before connecting. */
  checks(options: TunnelOptions): readonly Check[];
  /** What it needs on the server; looked at by `--check` and `-t auto`. */
  remoteChecks?(options: TunnelOptions): readonly RemoteCheck[];
  /** Makes the tunnel. */
  open(context: TunnelContext, options: TunnelOptions): Promise<Tunnel>;
}
