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

// Arguments: what to do, then PID START pairs.
//   alive  prints the pid of each that is running
//   tree   prints PID START of each and of all below it, parents first
//   end    ends each and all below it, and returns when they have gone
//   stop   the same, but asks only each itself: it ends what is below it
// What is to end is stopped while it is looked at: it may be about to start
// another process, which nobody would find when its parent has gone.
// There is no event for the end of a process that is not one's own child, so
// `end` looks again, soon at first; after 2 s it no longer asks.
const PROCESS_SCRIPT = `
alive() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return
  start=$2
  set -- \${stat##*") "}
  [ "$1" != Z ] && [ "\${20}" = "$start" ]
}
start_of() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return
  set -- \${stat##*") "}
  start=\${20}
}
children() {
  list=
  for task in "/proc/$1/task"/*/children; do
    line=
    read -r line 2>/dev/null <"$task"
    list="$list $line"
  done
}
freeze() {
  kill -STOP "$1" 2>/dev/null || return
  looks=0
  while read -r stat 2>/dev/null <"/proc/$1/stat"; do
    case \${stat##*") "} in [TtZXx]*) break ;; esac
    looks=$((looks + 1))
    [ $looks -lt 500 ] || break # in a call that nothing interrupts
    [ $looks -lt 20 ] || sleep 0.002
  done
}
tree() {
  [ "$what$frozen" != end ] || freeze "$1"
  start_of "$1" && echo "$1 $start"
  children "$1"
  for child in $list; do (tree "$child"); done
}
what=$1 frozen=
nl='
'
shift
case $what in
  end | stop)
    # What is stopped here would stay so.
    trap '' HUP INT TERM
    ids=$nl
    while [ $# -ge 2 ]; do
      case $ids in
        *"$nl$1 $2$nl"*) ;; # it is below one before
        *)
          if alive "$1" "$2"; then
            [ $what = stop ] && ids="$ids$1 $2$nl" || ids="$ids$(tree "$1")$nl"
          fi ;;
      esac
      shift 2
    done
    frozen=yes
    set -- $ids
    while [ $# -ge 2 ]; do
      ! alive "$1" "$2" || kill -TERM "$1"
      [ $what = stop ] || kill -CONT "$1" 2>/dev/null
      shift 2
    done
    set -- $ids
    tries=0
    while [ $# -ge 2 ]; do
      if ! alive "$1" "$2"; then shift 2; continue; fi
      [ $tries -lt 200 ] || tree "$1" | while read -r pid _; do kill -KILL "$pid"; done
      [ $tries -lt 400 ] || exit 1
      tries=$((tries + 1))
      [ $tries -gt 5 ] && sleep 0.01 || sleep 0.002
    done ;;
  *)
    while [ $# -ge 2 ]; do
      if alive "$1" "$2"; then
        case $what in
          alive) echo "$1" ;;
          tree) tree "$1" ;;
        esac
      fi
      shift 2
    done ;;
esac
exit 0
`.trim();

function script(what: string, ids: readonly ProcessId[]): string[] {
  const words = ids.flatMap(({ pid, start }) => [String(pid), start]);
  return ["sh", "-c", PROCESS_SCRIPT, "pvpn", what, ...words];
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

/**
 * Ends processes and all below them, and waits until they have gone.
 *
 * @param ids Who; the first is asked to end first.
 * @throws {CommandError} Where one is still there 4 s later.
 */
export async function endProcesses(
  runner: Runner,
  ids: readonly ProcessId[],
): Promise<void> {
  await runner.change(script("end", ids));
}

/**
 * Asks a pvpn to end, which undoes what it was at, and waits until it has.
 *
 * @throws {CommandError} Where it is still there 4 s later.
 */
export async function stopOwner(
  runner: Runner,
  id: ProcessId,
): Promise<void> {
  await runner.change(script("stop", [id]));
}
