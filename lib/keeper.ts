/**
 * The keeper: one `sh` that runs a tunnel's ssh and, when that ends, becomes
 * `pvpn --reconnect`. While a tunnel is up nothing of pvpn's is in memory
 * but this.
 *
 * @module
 */
import type { Argv, Runner, RunningCommand } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { parseStat, type ProcessId } from "./process.ts";

// Arguments: the program that reconnects (empty in the foreground, where
// pvpn stays and does it itself), the device, then the command to keep.
//
// ^C and hang-ups are for pvpn; ssh inherits that they are ignored.
// It says who it is and waits for "go", so that it is written down before
// ssh runs: if pvpn dies in between, the end of input ends it.
// Descriptor 3 is the other end of its own input, which is ssh's: that stays
// open while the keeper lives. A keeper that is killed ends ssh's input, and
// with that the server undoes its side and ends the session.
// When ssh has ended, pvpn acknowledges if it is still there; if not, the
// read ends at once, and the keeper takes the reconnecting over. What the
// carrier was told, and has not read, is passed over.
const KEEPER_SCRIPT = `
trap '' HUP INT QUIT PIPE
read -r stat <"/proc/$$/stat" && echo "$stat" && read -r go || exit 1
after=$1 device=$2
shift 2
[ -z "$after" ] || exec 3>/proc/self/fd/0
"$@" >/dev/null 3>&-
echo "exit $?" 2>/dev/null
exec 3>&-
while read -r line; do [ "$line" != heard ] || exit; done
[ -z "$after" ] || exec "$after" --reconnect "$device" </dev/null >/dev/null 2>&1
`.trim();

/** How a keeper is started. */
export interface KeeperOptions {
  /** This machine's device. */
  readonly device: string;
  /** The pvpn binary that reconnects; none where this process does. */
  readonly after?: string;
}

/** A keeper that runs, and the command that it keeps. */
export class Keeper {
  readonly #process: RunningCommand;
  readonly #ended: Promise<number>;

  private constructor(
    process: RunningCommand,
    /** The keeper itself. */
    readonly id: ProcessId,
    ended: Promise<number>,
  ) {
    this.#process = process;
    this.#ended = ended;
  }

  /**
   * Starts a keeper, which waits for {@linkcode Keeper.go}.
   *
   * @throws {PvpnError} Where it could not be started.
   */
  static async start(
    argv: Argv,
    options: KeeperOptions,
    runner: Runner,
  ): Promise<Keeper> {
    const { after = "", device } = options;
    const process = runner.start(
      ["sh", "-c", KEEPER_SCRIPT, "pvpn-keeper", after, device, ...argv],
    );
    const lines = process.stdout[Symbol.asyncIterator]();
    const first = await lines.next();
    const id = first.done ? undefined : parseStat(first.value);
    if (id === undefined) {
      throw new PvpnError(ExitCode.unexpected, "the keeper did not start");
    }
    return new Keeper(process, id, exitStatus(lines));
  }

  /** What the command prints on its standard error. */
  get stderr(): AsyncIterable<string> {
    return this.#process.stderr;
  }

  /** The command's exit status, when it has ended; -1 where nobody said. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  /** Lets it run the command. Record {@linkcode Keeper.id} before. */
  async go(): Promise<void> {
    await this.#process.write("go\n");
  }

  /** Writes a line to the command's standard input. */
  async tell(line: string): Promise<void> {
    await this.#process.write(`${line}\n`);
  }

  /** Tells it that this process has seen the end and does what is next. */
  async acknowledge(): Promise<void> {
    await this.#process.write("heard\n");
  }

  /** Leaves it alone: from now on it reconnects by itself. */
  async release(): Promise<void> {
    await this.#process.release();
  }
}

async function exitStatus(lines: AsyncIterator<string>): Promise<number> {
  while (true) {
    const { done, value } = await lines.next();
    if (done) return -1;
    const [, status] = /^exit (\d+)$/.exec(value) ?? [];
    if (status !== undefined) return Number(status);
  }
}
