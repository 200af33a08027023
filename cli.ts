/**
 * The program: `main` takes arguments and gives an exit status. The only file
 * that ends the process, and that writes to stdout.
 *
 * @module
 */
import { DryRunner, SystemRunner } from "./lib/command.ts";
import type { ConnectRequest } from "./lib/connect.ts";
import { type Environment, rollBack } from "./lib/environment.ts";
import { ExitCode, InterruptedError, PvpnError } from "./lib/errors.ts";
import { type Log, stderrLog } from "./lib/log.ts";
import {
  type Command,
  type CommandLine,
  parseCommandLine,
} from "./lib/command_line.ts";
import { notifier } from "./lib/notify.ts";
import { quoteAll } from "./lib/quote.ts";
import type { Registry } from "./lib/registry.ts";
import { StateDir } from "./lib/state_dir.ts";
import type { Style } from "./lib/table.ts";
import type { TunnelPlugin } from "./lib/tunnel.ts";
import { callerOf } from "./lib/user.ts";
import { VERSION } from "./lib/version.ts";

/** Prints on standard output; false where nobody reads it any more. */
function print(text: string): boolean {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) {
      at += Deno.stdout.writeSync(bytes.subarray(at));
    }
    return true;
  } catch (error) {
    // `pvpn --help | head -1`: who asked has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) return false;
    const why = error instanceof Error ? error.message : String(error);
    throw new PvpnError(
      ExitCode.unexpected,
      `cannot write to standard output: ${why}`,
      [],
      { cause: error },
    );
  }
}

/** Aborts when the user, or the system, wants an end; or a bug makes one. */
function interruption(signals: readonly Deno.Signal[]): AbortSignal {
  const controller = new AbortController();
  // It would end the process at once: what was changed is undone first.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    controller.abort(event.reason);
  });
  for (const name of signals) {
    Deno.addSignalListener(name, () => {
      controller.abort(new InterruptedError(name));
    });
  }
  return controller.signal;
}

/** More characters than anybody types. */
const LINE_LIMIT = 500;

function requireRoot(command: Command, args: readonly string[]): void {
  const harmless = command.action === "types" || command.action === "check" ||
    command.action === "connect" && command.dryRun;
  if (harmless || Deno.uid() === 0) return;
  const sshArgs = Deno.env.get("SSH_ARGS");
  // sudo takes it out of the environment.
  const kept = sshArgs ? [`SSH_ARGS=${sshArgs}`] : [];
  const line = quoteAll(["sudo", ...kept, "pvpn", ...args]);
  throw new PvpnError(
    ExitCode.notRoot,
    command.action === "list"
      ? "only root can see the tunnels"
      : "only root can change this machine's network",
    [`type: ${line.length > LINE_LIMIT ? "sudo pvpn ..." : line}`],
  );
}

/** The tunnel types, which only some actions need: loading them takes 4 ms. */
async function registryOf(
  more: readonly TunnelPlugin[],
  log: Log,
): Promise<Registry> {
  const { plugins } = await import("./plugins/mod.ts");
  const { PluginLoader } = await import("./lib/plugin_loader.ts");
  const { Registry } = await import("./lib/registry.ts");
  const loader = new PluginLoader(
    new SystemRunner(log),
    (url) => import(url),
    Deno.env.get("PVPN_PLUGINS"),
  );
  return new Registry([...plugins, ...more], loader);
}

/** How what is printed is to look like. */
function style(): Style {
  const terminal = Deno.stdout.isTerminal();
  const set = Number(Deno.env.get("COLUMNS"));
  const columns = set >= 1 ? set : terminal
    ? Deno.consoleSize().columns || 80 // 0 where nobody has set it
    : Infinity;
  return { terminal, columns, color: terminal && !Deno.noColor };
}

/** What one thing was missing of, more may be missing of. */
function pointingToCheck(
  error: unknown,
  { type, host }: ConnectRequest,
): unknown {
  const lacking = error instanceof PvpnError &&
    (error.code === ExitCode.server || error.code === ExitCode.missingProgram);
  if (!lacking) return error;
  return new PvpnError(error.code, error.message, [
    ...error.hints,
    `see what else is missing, on both ends: pvpn --check -t ${type} ${host}`,
  ], { cause: error });
}

/** The columns of the terminal on which steps are shown, if there is one. */
function progressColumns({ action }: Command): number | undefined {
  const shown = action === "connect" || action === "check";
  if (!shown || !Deno.stderr.isTerminal()) return undefined;
  if (Deno.env.get("TERM") === "dumb") return undefined;
  return Deno.consoleSize().columns || 80; // 0 where nobody has set it
}

async function run(
  { command, debug }: CommandLine,
  args: readonly string[],
  more: readonly TunnelPlugin[],
  log: Log,
): Promise<ExitCode | void> {
  let known: Promise<Registry> | undefined;
  const registry = () => known ??= registryOf(more, log);
  if (command.action === "help") {
    const { helpText } = await import("./lib/help.ts");
    return void print(helpText((await registry()).plugins));
  }
  if (command.action === "version") return void print(`pvpn ${VERSION}\n`);
  requireRoot(command, args);
  const dry = command.action === "connect" && command.dryRun;
  const runner = dry
    ? new DryRunner(log, (line) => print(line + "\n"))
    : new SystemRunner(log);
  const env: Environment = {
    runner,
    log,
    verbose: debug,
    dir: new StateDir(),
    registry,
    program: Deno.execPath(),
    caller: callerOf((name) => Deno.env.get(name)),
    notify: notifier(Deno.env.get("NOTIFY_SOCKET"), runner, log),
    // What reconnects in the background ignores ^C and hang-ups, as its keeper
    // did: they are for something else in the same terminal.
    signal: interruption(
      command.action === "reconnect"
        ? ["SIGTERM"]
        : ["SIGINT", "SIGTERM", "SIGHUP"],
    ),
  };
  // Each loads what is only its own: all of it would take 10 ms more.
  switch (command.action) {
    case "types": {
      const { formatTypes } = await import("./lib/status.ts");
      return void print(formatTypes(await (await registry()).all()));
    }
    case "list": {
      const { showList } = await import("./lib/watch.ts");
      return await showList(command, env, style(), print);
    }
    case "recover": {
      const { recover } = await import("./lib/claim.ts");
      const { restoreLeft } = await import("./lib/resolver_step.ts");
      await recover(env.dir, runner, log);
      await restoreLeft(runner, log);
      return await env.dir.tidy();
    }
    case "check": {
      const { check } = await import("./lib/check.ts");
      const { formatCheck } = await import("./lib/check_format.ts");
      const report = await check(command.request, env);
      print(
        command.json
          ? JSON.stringify(report) + "\n"
          : formatCheck(report, style()),
      );
      return report.status;
    }
    case "reconnect": {
      const { reconnect } = await import("./lib/reconnect.ts");
      return await reconnect(command.device, env);
    }
    case "stop": {
      const { disconnect, disconnectAll } = await import("./lib/disconnect.ts");
      const stopped = (device: string) => print(`${device} disconnected\n`);
      if (command.device === undefined) return disconnectAll(env, stopped);
      await disconnect(command.device, env);
      return void stopped(command.device);
    }
    case "connect": {
      const { connect } = await import("./lib/connect.ts");
      const connected = await connect(command.request, env)
        .catch((error) => {
          throw pointingToCheck(error, command.request);
        });
      const { device } = connected.journal.state;
      if (dry) return;
      log.step?.();
      const up = () => print(`${device} connected\n`);
      if (command.request.foreground) {
        const { hold } = await import("./lib/foreground.ts");
        return await hold(connected, env, up);
      }
      try {
        up();
      } catch (error) {
        // Who asked cannot know that it is up: then it is not to be.
        await rollBack(connected.journal, env);
        await connected.release({ tidy: true });
        throw error;
      }
      await connected.keeper?.release();
      return await connected.release();
    }
  }
}

/**
 * Runs the program.
 *
 * @param args The arguments, without the program's name.
 * @param more Tunnel types beside the built-in ones.
 * @returns The exit status.
 */
export async function main(
  args: readonly string[],
  more: readonly TunnelPlugin[] = [],
): Promise<ExitCode> {
  let log: Log = stderrLog({ debug: false });
  try {
    const line = parseCommandLine(args, Deno.env.get("SSH_ARGS"));
    log = stderrLog({
      ...{ debug: line.debug, quiet: line.quiet },
      columns: progressColumns(line.command),
    });
    return await run(line, args, more, log) ?? ExitCode.ok;
  } catch (error) {
    log.step?.();
    if (error instanceof PvpnError) {
      log.error(error.message);
      for (const hint of error.hints) log.hint(hint);
      return error.code;
    }
    log.error(error instanceof Error ? error.stack ?? "" : String(error));
    log.hint("this is a bug in pvpn: please report it, with what -d prints");
    return ExitCode.unexpected;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
