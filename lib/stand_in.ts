/**
 * Who is asked to end a tunnel that another program holds: `pvpn -S` sends
 * SIGTERM to a tunnel's owner, which that program, with other things to do,
 * had better not be.
 *
 * @module
 */
import type { Runner, RunningCommand } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { parseStat, type ProcessId } from "./process.ts";

// It says who it is, and ends when it is told to, or its program has ended.
// What is for all that runs in a terminal is not for it.
const SCRIPT = `
trap '' HUP INT QUIT PIPE
read -r stat <"/proc/$$/stat" && echo "$stat" || exit
while read -r _; do :; done
`.trim();

/** A process that stands for this one. */
export class StandIn {
  readonly #process: RunningCommand;

  private constructor(
    process: RunningCommand,
    /** Who it is. */
    readonly id: ProcessId,
    /** Resolves when it has ended: it was told to. */
    readonly ended: Promise<void>,
  ) {
    this.#process = process;
  }

  /**
   * Starts one.
   *
   * @throws {PvpnError} Where it could not be started.
   */
  static async start(runner: Runner): Promise<StandIn> {
    const process = runner.start(["sh", "-c", SCRIPT, "pvpn-stand-in"]);
    const lines = process.stdout[Symbol.asyncIterator]();
    const first = await lines.next();
    const id = first.done ? undefined : parseStat(first.value);
    if (id === undefined) {
      throw new PvpnError(ExitCode.unexpected, "sh did not start");
    }
    return new StandIn(process, id, ended(lines, process.stderr));
  }

  /** Lets it go: it ends. */
  async release(): Promise<void> {
    await this.#process.release();
    await this.ended;
  }
}

/** Reads all that it says, nothing, so that no pipe stays open. */
async function ended(
  stdout: AsyncIterator<string>,
  stderr: AsyncIterable<string>,
): Promise<void> {
  while (!(await stdout.next()).done);
  for await (const _ of stderr);
}
