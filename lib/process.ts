/**
 * Processes of other runs, known by pid and start time together, so that a
 * pid which an innocent process got later is never signalled. Deno may not
 * read /proc or signal others with the permissions of the compiled program;
 * sh, which runs nothing else here, may.
 *
 * @module
 */
import {
  type Argv,
  CommandError,
  type CommandOutput,
  missingProgram,
  type Runner,
} from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { PROCESS_SCRIPT } from "./process_script.ts";

/** A process, for as long as the machine runs. */
export interface ProcessId {
  /** Its number. */
  readonly pid: number;
  /** When it started, in clock ticks after boot: field 22 of proc(5) stat. */
  readonly start: string;
}

/**
 * Reads a line of /proc/PID/stat.
 *
 * @returns The process, or `undefined` where the line is not one.
 */
export function parseStat(line: string): ProcessId | undefined {
  const pid = Number(/^(\d+) \(/.exec(line)?.[1]);
  // The name, in brackets, may itself have spaces and brackets in it.
  const fields = line.slice(line.lastIndexOf(") ") + 2).split(" ");
  const start = fields[19] ?? "";
  return Number.isSafeInteger(pid) && /^\d+$/.test(start)
    ? { pid, start }
    : undefined;
}

const SELF_SCRIPT = `
aes=
read -r stat <"/proc/$PPID/stat"
echo "$stat"
while read -r line; do
  case $line in
    flags* | Features*)
      case " $line " in *" aes "*) aes=aes ;; esac
      break ;;
  esac
done </proc/cpuinfo
echo "$aes"
exec "$@"
`.trim();

/** What this process and its machine are. */
export interface Self {
  /** This process. */
  readonly id: ProcessId;
  /** Whether the CPU has AES instructions. */
  readonly aes: boolean;
}

/**
 * Requires that a command worked that a shell became.
 *
 * @throws {PvpnError} Where it did not, or is not there.
 */
export function requireRun(argv: Argv, output: CommandOutput): void {
  // What sh says of a program that is not there, or may not be run.
  if (output.status === 127 || output.status === 126) {
    throw missingProgram(argv[0] ?? "");
  }
  if (output.status !== 0) throw new CommandError(argv, output);
}

/**
 * Finds out who this process is, which Deno itself cannot tell; and runs a
 * command, because two processes take longer than one that becomes another.
 *
 * @returns Who it is, and what the command printed.
 */
export async function self(
  runner: Runner,
  argv: Argv,
): Promise<Self & { stdout: string }> {
  const output = await runner.query(
    ["sh", "-c", SELF_SCRIPT, "pvpn", ...argv],
    { anyStatus: true },
  );
  requireRun(argv, output);
  const [stat = "", aes = "", ...rest] = output.stdout.split("\n");
  const id = parseStat(stat);
  if (id === undefined) {
    throw new PvpnError(ExitCode.unexpected, "/proc cannot be read", [
      "pvpn needs /proc mounted",
    ]);
  }
  return { id, aes: aes === "aes", stdout: rest.join("\n") };
}

function script(what: string, ids: readonly ProcessId[]): string[] {
  const words = ids.map(({ pid, start }) => `${pid} ${start}`).join(" ");
  return ["sh", "-c", PROCESS_SCRIPT, "pvpn", what, words];
}

/** Prints the pids of those that are running, one a line. */
export function aliveArgv(ids: readonly ProcessId[]): string[] {
  return script("alive", ids);
}

/** The pids of those that are running; a zombie is not. */
export async function alive(
  runner: Runner,
  ids: readonly ProcessId[],
): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const { stdout } = await runner.query(aliveArgv(ids));
  return new Set(stdout.split("\n").filter(Boolean).map(Number));
}

/** A process and all below it, parents first; none where it has ended. */
export async function treeOf(
  runner: Runner,
  id: ProcessId,
): Promise<ProcessId[]> {
  const { stdout } = await runner.query(script("tree", [id]));
  return stdout.split("\n").filter(Boolean).map((line) => {
    const [pid, start = ""] = line.split(" ");
    return { pid: Number(pid), start };
  });
}

/** What `end` and `stop` print last. */
const END_REGEXP = /(?:^|\n)(ended|stays) (\d+)\n(\d+)\n$/;

/** How processes have ended. */
export interface Ended {
  /** Whether they all have; one may still be there 4 s after it was asked. */
  readonly all: boolean;
  /** What the command has left. */
  readonly output: CommandOutput;
}

async function end(runner: Runner, argv: Argv): Promise<Ended> {
  const output = await runner.change(argv);
  const [, said, given, status] = END_REGEXP.exec(output.stdout) ?? [];
  // Its own status says nothing of what it did.
  if (said === undefined) {
    throw new CommandError(argv, { ...output, status: 1 });
  }
  return {
    all: said === "ended",
    // What has not been told to a command, that cannot have done.
    output: { ...output, status: Number(status) || Number(given) },
  };
}

/**
 * Ends processes and all below them, and waits until they have gone.
 *
 * @param ids Who; the first is asked to end first.
 * @param argv What is run beside that, and may be done while they are there.
 * @param input What that reads, as soon as none of them can do anything.
 * @throws {CommandError} Where nobody knows what was done: as if it was nothing.
 */
export async function endProcesses(
  runner: Runner,
  ids: readonly ProcessId[],
  argv: Argv = [],
  input = "",
): Promise<Ended> {
  return await end(runner, [...script("end", ids), input, ...argv]);
}

/**
 * Asks a pvpn to end, which undoes what it was at, and waits until it has.
 *
 * @throws {PvpnError} Where it is still there 4 s later.
 */
export async function stopOwner(
  runner: Runner,
  id: ProcessId,
): Promise<void> {
  const { all } = await end(runner, [...script("stop", [id]), ""]);
  if (all) return;
  throw new PvpnError(
    ExitCode.state,
    `process ${id.pid}, a pvpn that was asked to end, does not end`,
    [`see what holds it up: ps -o pid,stat,wchan:30,args ${id.pid}`],
  );
}
