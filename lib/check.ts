/**
 * `--check`: what is there and what is missing, on both ends, for each tunnel
 * type. One login tells all of the server's end; nothing is changed on either.
 *
 * @module
 */
import type { Environment } from "./environment.ts";
import { localRows, serverRows } from "./check_rows.ts";
import { forType, sshRows, typeRows } from "./check_types.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { Journal } from "./journal.ts";
import { cannotRepeat, type Once } from "./login.ts";
import { type Facts, ProbeReader } from "./probe.ts";
import { probeCommand, probeScript } from "./probe_script.ts";
import { treeOf } from "./process.ts";
import { newToken } from "./remote_script.ts";
import { converse } from "./session.ts";
import { connections, type Socket, socketOf } from "./sockets.ts";
import { sessionArgv } from "./ssh.ts";
import { sshConfig } from "./ssh_config.ts";
import { STATE_VERSION } from "./state.ts";
import {
  DEFAULT_MTU,
  type RemoteCheck,
  type TunnelOptions,
  type TunnelPlugin,
} from "./tunnel.ts";
import { asUser, findUser, identity, loginHints, type User } from "./user.ts";

/** See {@linkcode CheckReport.version}. */
const CHECK_VERSION = 1;

/** Whom `--check` looks at. */
export interface CheckRequest {
  /** SSH-HOST; this machine only, without. */
  readonly host?: string;
  /** The words of `SSH_ARGS`. */
  readonly sshArgs: readonly string[];
  /** The word behind `-t`; all types that the program has, without. */
  readonly type?: string;
  /** Whom ssh runs as: see `ConnectRequest`. */
  readonly sshUser?: string;
  /** Whether ssh may not ask on a terminal. */
  readonly batch?: boolean;
}

/** One thing that was looked at. */
export interface CheckRow {
  /** On which end. */
  readonly end: "client" | "server";
  /** What was looked at. */
  readonly name: string;
  /** Whether it is there. */
  readonly status: "ok" | "warning" | "missing";
  /** What there is, or why not. */
  readonly detail: string;
  /** What to type on that end; one command a line. */
  readonly fix: readonly string[];
  /** The tunnel type that needs it; `null`: all do, or none. */
  readonly type: string | null;
  /** Whether there is no tunnel, of that type or of any, without it. */
  readonly required: boolean;
}

/** What was found. */
export interface CheckReport {
  /** The version of this form: it grows when a member goes. */
  readonly version: 1;
  /** SSH-HOST. */
  readonly host: string | null;
  /** All that was looked at. */
  readonly checks: readonly CheckRow[];
  /** Which types can be used, as far as can be told. */
  readonly types: readonly {
    readonly type: string;
    readonly usable: boolean;
    /** The names of what is missing. */
    readonly missing: readonly string[];
  }[];
  /** The exit status. */
  readonly status: ExitCode;
}

/** What was found out on the server, and of the way to it. */
export interface Probed {
  /** What its script said. */
  readonly facts: Facts;
  /** ssh's connection, as this machine sees it. */
  readonly socket: Socket | undefined;
  /** What somebody had to type for the login. */
  readonly once: Once | undefined;
  /** This machine's clock when the answer came, in seconds. */
  readonly now: number;
}

/**
 * Looks at this machine and, where a host is named, at that.
 *
 * @throws {PvpnError} Where there is no such type or user.
 */
export async function check(
  request: CheckRequest,
  env: Environment,
): Promise<CheckReport> {
  const { runner } = env;
  const registry = await env.registry();
  const plugins = request.type === undefined
    ? registry.plugins
    : (await registry.choices(request.type)).map(({ plugin }) => plugin);
  const user = await findUser(request.sshUser, env.caller, runner);
  const options: TunnelOptions = {
    ...{ device: "", mtu: DEFAULT_MTU, ipv6: false, resume: false },
    ...identity(user),
  };
  const wanted = plugins.flatMap((plugin) =>
    (plugin.remoteChecks?.(options) ?? []).map((check) => ({ plugin, check }))
  );
  env.log.step?.("looking at this machine");
  const local = await localFacts(env);
  const rows = [
    ...localRows(local, user, Deno.uid() === 0),
    ...sshRows(plugins, "client", local),
    ...await localChecks(plugins, options, env),
  ];
  let code: ExitCode = ExitCode.ok;
  const { host } = request;
  if (host !== undefined) {
    try {
      const checks = wanted.map(({ check }) => check);
      const probed = await probe({ ...request, host }, checks, user, env);
      rows.push(
        ...serverRows(host, probed),
        ...sshRows(plugins, "server", probed.facts),
        ...typeRows(wanted, probed.facts),
      );
    } catch (error) {
      if (!(error instanceof PvpnError) || env.signal.aborted) throw error;
      code = error.code;
      rows.push({
        ...{ end: "server", name: "login", status: "missing", type: null },
        ...{ detail: error.message, fix: error.hints, required: true },
      });
    }
  }
  env.log.step?.();
  const types = plugins.map(({ type }) => {
    const missing = rows.filter((row) =>
      row.required && row.status === "missing" &&
      (row.type === null || row.type === type)
    ).map(({ name, end }) => end === "server" ? `${name} there` : name);
    return { type, usable: missing.length === 0, missing };
  });
  if (code === ExitCode.ok && !types.some(({ usable }) => usable)) {
    code = ExitCode.server;
  }
  const version = CHECK_VERSION;
  return { version, host: host ?? null, checks: rows, types, status: code };
}

async function localFacts({ runner }: Environment): Promise<Facts> {
  const reader = new ProbeReader("pvpn");
  const argv = ["sh", "-c", probeScript([]), "pvpn", "pvpn"];
  const { stderr } = await runner.query(argv);
  for (const line of stderr.split("\n")) reader.read(line);
  return reader.facts();
}

async function localChecks(
  plugins: readonly TunnelPlugin[],
  options: TunnelOptions,
  { runner }: Environment,
): Promise<CheckRow[]> {
  const all = plugins.flatMap((plugin) =>
    plugin.checks(options).map((check) => ({ plugin, check }))
  );
  return await Promise.all(all.map(async ({ plugin, check }) => {
    const there = await check.passes((argv, how) => runner.query(argv, how));
    const said = there && check.version !== undefined
      ? await runner.query(check.version, { anyStatus: true })
      : undefined;
    const text = said?.status === 0 ? said.stdout.split("\n")[0]!.trim() : "";
    return {
      ...{ end: "client", required: true } as const,
      name: check.name.replace(/ on this machine$/, ""),
      ...{ type: plugin.type, detail: forType(plugin, text) },
      status: there ? "ok" : "missing",
      fix: there ? [] : [check.hint],
    };
  }));
}

/** The one login. */
async function probe(
  { host, sshArgs, batch = false }: CheckRequest & { host: string },
  checks: readonly RemoteCheck[],
  user: User | undefined,
  env: Environment,
): Promise<Probed> {
  const { runner, log, signal } = env;
  const config = await sshConfig(host, sshArgs, user, runner);
  const token = newToken();
  const command = probeCommand(checks, token);
  const argv = asUser(
    user,
    sessionArgv({ host, args: sshArgs }, {
      ...{ config, aes: false, batch, options: [], command },
    }),
  );
  // Written nowhere: what is started here ends with its input.
  const journal = new Journal(undefined, {
    ...{ version: STATE_VERSION, device: "check", type: "check", host },
    ...{ sshArgs, routes: [], exclude: [], ipv6: "leave", fallback: false },
    ...{ autoNets: false, nat: false },
    ...{ mtu: DEFAULT_MTU, slot: 0, phase: "connecting", reconnects: 0 },
    undo: [],
  });
  const { keeper, facts } = await converse(argv, {
    ...{ runner, journal, log, signal, host, device: "check", command },
    ...{ verbose: env.verbose, loginHints: loginHints(user) },
    authenticated: () => {},
  }, new ProbeReader(token));
  try {
    const now = Date.now() / 1000;
    const processes = await treeOf(runner, keeper.id);
    const sockets = await connections(runner);
    const socket = socketOf(sockets, processes.map(({ pid }) => pid));
    const once = await cannotRepeat(facts.login, host, user, runner);
    return { facts, socket, once, now };
  } finally {
    await keeper.release();
    await journal.undo(runner, (step) => step.kind === "process");
  }
}
