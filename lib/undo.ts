/**
 * Undo: takes changes back. One mechanism for roll-back, stop and recovery;
 * each step can be done any number of times.
 *
 * @module
 */
import type { CommandOutput, Runner } from "./command.ts";
import { PvpnError } from "./errors.ts";
import { endProcesses } from "./process.ts";
import { undoResolver } from "./resolver_step.ts";
import type { IpStep, UndoStep } from "./undo_step.ts";

/** What {@linkcode undoSteps} could not do. */
export interface UndoFailure {
  /** The step. */
  readonly step: UndoStep;
  /** Why. */
  readonly reason: string;
}

/**
 * Takes changes back, the last one first; rules, routes and processes that
 * follow each other side by side, since none of these needs another. Goes on
 * after a failure; what is already gone is no failure.
 *
 * @returns The steps that failed, in the order in which they were recorded.
 */
export async function undoSteps(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const groups = groupsOf(steps);
  const failures: UndoFailure[] = [];
  while (groups.length > 0) {
    const stage = [groups.pop()!];
    while (groups.length > 0 && fits(groups.at(-1)!, stage)) {
      stage.push(groups.pop()!);
    }
    // A device takes longest to go away.
    stage.sort((a, b) => Number(b.kind === "user") - Number(a.kind === "user"));
    const ended = await Promise.allSettled(
      stage.map((group) => undoGroup(group, runner)),
    );
    for (const one of ended) {
      if (one.status === "rejected") throw one.reason;
      failures.push(...one.value);
    }
  }
  return failures.sort((a, b) => steps.indexOf(a.step) - steps.indexOf(b.step));
}

/** Steps that follow each other, and are undone by one command. */
interface Group {
  /** What they are; `user`: processes, and the devices that they use. */
  readonly kind: "ip -4" | "ip -6" | "link" | "user" | "file" | "resolver";
  readonly steps: UndoStep[];
}

function groupsOf(steps: readonly UndoStep[]): Group[] {
  const groups: Group[] = [];
  for (const step of steps) {
    const kind = kindOf(step);
    const last = groups.at(-1);
    if (last?.kind === kind) last.steps.push(step);
    else if (kind === "user" && last?.kind === "link") {
      groups.splice(-1, 1, { kind, steps: [...last.steps, step] });
    } else groups.push({ kind, steps: [step] });
  }
  return groups;
}

function kindOf(step: UndoStep): Group["kind"] {
  if (step.kind === "process") return "user";
  if (step.kind !== "ip") return step.kind;
  return step.object === "link" ? "link" : `ip -${step.family}`;
}

/** Whether a group can be undone beside others; of users, only one. */
function fits({ kind }: Group, stage: readonly Group[]): boolean {
  const beside = ["ip -4", "ip -6", "user"];
  const both = [kind, stage[0]!.kind].every((one) => beside.includes(one));
  return both &&
    (kind !== "user" || !stage.some((group) => group.kind === "user"));
}

async function undoGroup(
  { kind, steps }: Group,
  runner: Runner,
): Promise<UndoFailure[]> {
  switch (kind) {
    case "user":
      return await endUsers(steps, runner);
    case "file":
      return await removeFiles(steps, runner);
    case "resolver": {
      const failures: UndoFailure[] = [];
      for (const step of steps.toReversed()) {
        if (step.kind !== "resolver") continue;
        failures.push(
          ...await orAll([step], async () => {
            await undoResolver(step, runner);
            return [];
          }),
        );
      }
      return failures;
    }
    default:
      return await deleteAll(steps, runner);
  }
}

async function removeFiles(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const paths = steps.flatMap((step) => step.kind === "file" ? step.path : []);
  const argv = ["sh", "-c", 'rm -f -- "$@"', "pvpn", ...paths];
  return await orAll(steps, async () => {
    await runner.change(argv);
    return [];
  });
}

/** What an act could not do; where it throws, that is all of the steps. */
async function orAll(
  steps: readonly UndoStep[],
  act: () => Promise<UndoFailure[]>,
): Promise<UndoFailure[]> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof PvpnError)) throw error;
    return steps.map((step) => ({ step, reason: error.message }));
  }
}

/**
 * Ends processes, in the order in which they were recorded: a keeper that is
 * ended after what it keeps would start it again. Deletes the devices that
 * they use when none of them can do anything any more, not only when they have
 * gone: the kernel takes 15 to 40 ms for one.
 */
async function endUsers(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const processes = steps.filter((step) => step.kind === "process");
  const devices = steps.filter((step) => step.kind === "ip").toReversed();
  return await orAll(steps, async () => {
    const none = { argv: [], input: "" };
    const { argv, input } = devices.length > 0 ? deletion(devices) : none;
    const { all, output } = await endProcesses(runner, processes, argv, input);
    const reason = "it, or a process below it, does not end";
    return [
      ...failuresOf(devices, output),
      ...all ? [] : processes.map((step) => ({
        step,
        reason: `process ${step.pid}: ${reason}`,
      })),
    ];
  });
}

async function deleteAll(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const last = steps.filter((step) => step.kind === "ip").toReversed();
  return await orAll(steps, async () => {
    const { argv, input } = deletion(last);
    const output = await runner.change(argv, { input, anyStatus: true });
    return failuresOf(last, output);
  });
}

function deletion(steps: readonly IpStep[]) {
  const lines = steps.map(({ object, words }) =>
    [object, "delete", ...words].join(" ") + "\n"
  );
  const argv = ["ip", `-${steps[0]!.family}`, "-force", "-batch", "-"];
  return { argv, input: lines.join("") };
}

/** The steps of a deletion that failed. */
function failuresOf(
  steps: readonly IpStep[],
  output: CommandOutput,
): UndoFailure[] {
  const errors = batchErrors(output);
  if (output.status >= 128 || output.status !== 0 && errors.length === 0) {
    const reason = output.stderr.trim() || `ip ended with ${output.status}`;
    return steps.map((step) => ({ step, reason }));
  }
  const gone = (reason: string) =>
    reason.split("; ").every((part) => GONE_REGEXP.test(part));
  return errors.filter(({ reason }) => !gone(reason))
    .flatMap(({ line, reason }) => {
      const step = steps[line - 1];
      return step === undefined ? [] : [{ step, reason }];
    });
}

// ENOENT, ESRCH, ENODEV and what iproute2 and the kernel say instead; and a
// family that the kernel does not have, of which nothing can be left.
const GONE_REGEXP =
  /No such (?:file or directory|process|device)|Cannot find device|FIB table does not exist|Address family not supported/;

/** An error of one line of `ip -batch`. */
export interface BatchError {
  /** The number of the line, from 1. */
  readonly line: number;
  /** What `ip` said. */
  readonly reason: string;
}

/** Reads which lines of an `ip -batch` failed, and why. */
export function batchErrors(output: CommandOutput): BatchError[] {
  const errors: BatchError[] = [];
  let reason: string[] = [];
  for (const text of output.stderr.split("\n")) {
    const failed = /^Command failed .*:(\d+)$/.exec(text);
    if (failed === null) {
      if (text !== "") reason.push(text);
      continue;
    }
    errors.push({ line: Number(failed[1]), reason: reason.join("; ") });
    reason = [];
  }
  return errors;
}
