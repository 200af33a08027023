/**
 * Undo: each change to this machine as data that says how to take it back.
 * One mechanism for roll-back, stop and recovery. A step is never shell text,
 * and can be done any number of times.
 *
 * @module
 */
import type { CommandOutput, Runner } from "./command.ts";
import { PvpnError } from "./errors.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import { endProcesses, type ProcessId } from "./process.ts";
import {
  closedLink,
  parseResolverStep,
  type ResolverStep,
  undoResolver,
} from "./resolver_step.ts";
import type { Family } from "./address.ts";

/** Deletes what an `ip ... add` added; see ip(8). */
export interface IpStep {
  /** The step's kind. */
  readonly kind: "ip";
  /** Of which protocol. */
  readonly family: Family;
  /** What is deleted. */
  readonly object: "link" | "route" | "rule";
  /** Which one: the words behind `delete`. */
  readonly words: readonly string[];
}

/** Ends a process, and what it started. */
export interface ProcessStep extends ProcessId {
  /** The step's kind. */
  readonly kind: "process";
}

/** Removes a file that a program made, and leaves, where there was none. */
export interface FileStep {
  /** The step's kind. */
  readonly kind: "file";
  /** Which one, below /run. */
  readonly path: string;
}

/** One change, and how to take it back. */
export type UndoStep = IpStep | ProcessStep | FileStep | ResolverStep;

/** The step that deletes a device. */
export function deleteLink(device: string): IpStep {
  return { kind: "ip", family: 4, object: "link", words: ["dev", device] };
}

/** Whether a step deletes the device that refuses names. */
export function isClosedLink({ object, words }: IpStep): boolean {
  return object === "link" && words[1]?.endsWith(closedLink("")) === true;
}

/** A word that may stand in a line of `ip -batch`, where spaces split. */
export function isWord(value: unknown): value is string {
  return typeof value === "string" && /^[\w.:/%+@][\w.:/%+@-]*$/.test(value);
}

/**
 * Reads a step from a state file.
 *
 * @returns The step, or `undefined` where it is none that pvpn writes.
 */
export function parseUndoStep(value: unknown): UndoStep | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const step = value as Record<string, unknown>;
  if (step.kind === "process") {
    const { pid, start } = step;
    return Number.isSafeInteger(pid) && (pid as number) > 1 &&
        typeof start === "string" && /^\d+$/.test(start)
      ? { kind: "process", pid: pid as number, start }
      : undefined;
  }
  if (step.kind === "file") {
    const { path } = step;
    return typeof path === "string" && /^\/run\/[\w][\w.-]*$/.test(path)
      ? { kind: "file", path }
      : undefined;
  }
  if (step.kind === "resolver") return parseResolverStep(step);
  const { kind, family, object, words } = step;
  const known = kind === "ip" && (family === 4 || family === 6) &&
    (object === "link" || object === "route" || object === "rule") &&
    Array.isArray(words) && words.length > 0 &&
    words.every(isWord);
  if (!known) return undefined;
  if (object === "link") {
    // `ip link delete` also takes whole groups of devices.
    const [dev, name, ...more] = words as string[];
    if (dev !== "dev" || !DEVICE_REGEXP.test(name ?? "") || more.length > 0) {
      return undefined;
    }
  }
  return { kind, family, object, words };
}

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
    const beside = [groups.pop()!];
    while (groups.length > 0 && areBeside(groups.at(-1)!, beside.at(-1)!)) {
      beside.push(groups.pop()!);
    }
    const failed = beside.map((group) => undoGroup(group, runner));
    failures.unshift(...(await Promise.all(failed)).reverse().flat());
  }
  return failures;
}

/** Steps that follow each other and are undone by one command. */
function groupsOf(steps: readonly UndoStep[]): UndoStep[][] {
  const groups: UndoStep[][] = [];
  let last: string | undefined;
  for (const step of steps) {
    const kind = kindOf(step);
    // A device goes with those who use it.
    const same = kind === last || kind === "process" && last === "link";
    if (same) groups.at(-1)!.push(step);
    else groups.push([step]);
    last = kind;
  }
  return groups;
}

function kindOf(step: UndoStep): string {
  if (step.kind !== "ip") return step.kind;
  return step.object === "link" ? "link" : `ip -${step.family}`;
}

const BESIDE: readonly string[] = ["ip -4", "ip -6", "process"];

function areBeside(...groups: readonly UndoStep[][]): boolean {
  return groups.every((group) => BESIDE.includes(kindOf(group.at(-1)!)));
}

async function undoGroup(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const processes = steps.filter((step) => step.kind === "process");
  if (processes.length > 0) {
    const devices = steps.filter((step) => step.kind === "ip");
    return await endUsers(processes, devices, runner);
  }
  const [first] = steps;
  if (first?.kind === "file") {
    return await removeFiles(steps, runner);
  }
  if (first?.kind === "resolver") {
    const failures: UndoFailure[] = [];
    for (const step of steps.toReversed()) {
      if (step.kind !== "resolver") continue;
      const reason = await failure(() => undoResolver(step, runner));
      if (reason !== undefined) failures.unshift({ step, reason });
    }
    return failures;
  }
  const batch = steps.filter((step) => step.kind === "ip").toReversed();
  return (await deleteAll(batch, runner)).reverse();
}

async function removeFiles(
  steps: readonly UndoStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const paths = steps.flatMap((step) => step.kind === "file" ? step.path : []);
  const argv = ["sh", "-c", 'rm -f -- "$@"', "pvpn", ...paths];
  const reason = await failure(() => runner.change(argv));
  return reason === undefined ? [] : steps.map((step) => ({ step, reason }));
}

async function failure(
  act: () => Promise<unknown>,
): Promise<string | undefined> {
  try {
    await act();
  } catch (error) {
    if (error instanceof PvpnError) return error.message;
    throw error;
  }
}

/**
 * Ends processes, in the order in which they were recorded: a keeper that is
 * ended after what it keeps would start it again. Deletes the devices that
 * they use when all have been asked: the kernel takes 15 to 40 ms for one.
 */
async function endUsers(
  processes: readonly ProcessStep[],
  devices: readonly IpStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  let failures: UndoFailure[] = [];
  const reason = await failure(async () => {
    if (devices.length === 0) return await endProcesses(runner, processes);
    const last = devices.toReversed();
    const { argv, input } = deletion(last);
    const output = await endProcesses(runner, processes, argv, input);
    failures = failuresOf(last, output).reverse();
  });
  if (reason === undefined) return failures;
  // Nobody knows what has become of the devices.
  return [...devices, ...processes].map((step) => ({ step, reason }));
}

async function deleteAll(
  steps: readonly IpStep[],
  runner: Runner,
): Promise<UndoFailure[]> {
  const { argv, input } = deletion(steps);
  const output = await runner.change(argv, { input, anyStatus: true });
  return failuresOf(steps, output);
}

function deletion(steps: readonly IpStep[]) {
  const lines = steps.map(({ object, words }) =>
    [object, "delete", ...words].join(" ") + "\n"
  );
  const argv = ["ip", `-${steps[0]!.family}`, "-force", "-batch", "-"];
  return { argv, input: lines.join("") };
}

function failuresOf(
  steps: readonly IpStep[],
  output: CommandOutput,
): UndoFailure[] {
  const errors = batchErrors(output);
  if (output.status >= 128 || output.status !== 0 && errors.length === 0) {
    const reason = output.stderr.trim() || `ip ended with ${output.status}`;
    return steps.map((step) => ({ step, reason }));
  }
  return errors.filter(({ reason }) => !GONE_REGEXP.test(reason))
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
