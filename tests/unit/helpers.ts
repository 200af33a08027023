/** What the unit tests share. */
import { assert, assertEquals } from "@std/assert";
import { type Runner, SystemRunner } from "../../lib/command.ts";
import { PvpnError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import { parseStat, type ProcessId } from "../../lib/process.ts";

/** Runs `act`, which may throw nothing but an error that is for the user. */
export function onlyPvpnError<T>(act: () => T, input: unknown): T | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof PvpnError)) {
      throw new Error(`${JSON.stringify(input)} made it throw`, {
        cause: error,
      });
    }
    assert(error.hints.every((hint) => typeof hint === "string"));
  }
}

/** The {@linkcode PvpnError} that `act` throws. */
export async function failureOf(act: () => unknown): Promise<PvpnError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof PvpnError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

/** Lends a temporary directory. */
export async function withDir<T>(
  use: (dir: string) => Promise<T>,
): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "pvpn-unit-" });
  try {
    return await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Runs commands for real, and says nothing of it. */
export const system = new SystemRunner(silentLog);

/** The path of a program, where it is installed. */
export async function which(program: string): Promise<string | undefined> {
  const argv = ["sh", "-c", 'command -v "$0"', program];
  const { stdout } = await system.query(argv, { anyStatus: true });
  return stdout.trim() || undefined;
}

/** Who a running process is. */
export function identify(pid: number): ProcessId {
  const id = parseStat(Deno.readTextFileSync(`/proc/${pid}/stat`));
  assert(id !== undefined);
  return id;
}

/** Whether a process is there and no zombie. */
export function runs(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}

/** Waits until `what` holds; fails after `seconds`. */
export async function until(
  what: () => boolean | Promise<boolean>,
  seconds = 5,
): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!await what()) {
    assert(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What `promise` gives; fails where that takes longer than `seconds`. */
export async function within<T>(
  seconds: number,
  promise: Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`not within ${seconds} s`)),
    seconds * 1000,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Keeps Deno from taking the test for finished while it waits for nothing but
 * a process that was started with `Runner.start`, which does not count.
 */
export function keepAwake(): Disposable {
  const timer = setInterval(() => {}, 1000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Starts a script of sh, and ends it afterwards. */
export async function withProcess<T>(
  script: string,
  use: (id: ProcessId, child: Deno.ChildProcess) => Promise<T>,
  args: readonly string[] = [],
): Promise<T> {
  const child = new Deno.Command("sh", {
    args: ["-c", script, "test", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    return await use(identify(child.pid), child);
  } finally {
    try {
      child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await child.status;
  }
}

/** Expects `act` to give, for each of the inputs, what stands beside it. */
export function assertTable<T>(
  act: (input: string) => T,
  table: Readonly<Record<string, T>>,
): void {
  for (const [input, expected] of Object.entries(table)) {
    assertEquals(act(input), expected, JSON.stringify(input));
  }
}

/** The pids of a process's children. */
export function children(pid: number): number[] {
  return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`)
    .split(" ").filter(Boolean).map(Number);
}

/** As `system`, but whatever it runs is over after some seconds. */
export const bounded: Runner = {
  dry: false,
  query: (argv, how) =>
    system.query(["timeout", "-s", "KILL", "3", ...argv], how),
  change: (argv, how) =>
    system.change(["timeout", "-s", "KILL", "9", ...argv], how),
  start: (argv) => system.start(argv),
};
