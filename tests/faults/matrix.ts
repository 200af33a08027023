/**
 * The fault matrix: each step of connecting, reconnecting and stopping,
 * disturbed in each way that there is.
 */
import { align } from "../../lib/table.ts";
import { typed } from "../e2e/helpers.ts";
import { Bench } from "./bench.ts";
import type { Step } from "./gate.ts";
import { faultsOf, OPERATIONS, type Trial, trialText } from "./trial.ts";

/** A tunnel type to try. */
export type Type = Parameters<typeof typed>[0];

/** What became of a trial: whether its step was taken, or what is wrong. */
export interface Result {
  readonly trial: Trial;
  readonly reached: boolean;
  readonly error?: Error;
}

/** Whether pvpn's own writes can be seen: trace.pl is for one processor. */
export const TRACES = Deno.build.arch === "x86_64";

/**
 * All trials of a tunnel type.
 *
 * @param traced Whether with pvpn's own writes.
 */
export async function trialsOf(type: Type, traced = TRACES): Promise<Trial[]> {
  await using bench = new Bench(typed(type));
  const trials: Trial[] = [];
  for (const operation of OPERATIONS) {
    const steps: Step[] = await bench.steps(operation, false);
    if (traced) steps.push(...await bench.steps(operation, true));
    for (const step of steps) {
      for (const fault of faultsOf(step)) {
        const then = trials.length % 3 === 0 ? "start" : "-S";
        trials.push({ operation, step, fault, then });
      }
    }
  }
  return trials;
}

/** Some trials of all kinds: every n-th, as they come when sorted by kind. */
export function stride(trials: readonly Trial[], count: number): Trial[] {
  const kinds = Map.groupBy(
    trials,
    ({ operation, step, fault }) => [operation, step.side, fault].join(),
  );
  const sorted = [...kinds.values()].flat();
  return Array.from(
    { length: Math.min(count, sorted.length) },
    (_, i) => sorted[Math.floor((i + 0.5) * sorted.length / count)]!,
  );
}

/** Makes trials, some at a time, each in a lab that others are made in too. */
export async function run(
  type: Type,
  trials: readonly Trial[],
  tell: (result: Result) => void = () => {},
  labs = navigator.hardwareConcurrency,
): Promise<Result[]> {
  const waiting = [...trials];
  const results: Result[] = [];
  const worker = async () => {
    await using bench = new Bench(typed(type));
    for (let trial; (trial = waiting.shift()) !== undefined;) {
      const result = await bench.try(trial).then(
        (reached) => ({ trial: trial!, reached }),
        (error: Error) => ({ trial: trial!, reached: true, error }),
      );
      results.push(result);
      tell(result);
    }
  };
  await Promise.all(Array.from({ length: labs }, worker));
  return results;
}

/** How many were tried, and survived, of each kind. */
export function summary(results: readonly Result[]): string {
  const kinds = new Map<string, { tried: number; survived: number }>();
  const all = { tried: 0, survived: 0 };
  for (const { trial: { operation, step, fault }, error } of results) {
    const kind = [operation, step.side, fault].join("\t");
    const tally = kinds.get(kind) ?? { tried: 0, survived: 0 };
    kinds.set(kind, tally);
    for (const one of [tally, all]) {
      one.tried++;
      if (error === undefined) one.survived++;
    }
  }
  const rows = [...kinds].map((
    [kind, { tried, survived }],
  ) => [...kind.split("\t"), `${tried}`, `${survived}`]);
  const table = align([
    ["OPERATION", "STEPS", "FAULT", "TRIED", "SURVIVED"],
    ...rows.sort((a, b) => a.join() < b.join() ? -1 : 1),
    ["all", "", "", `${all.tried}`, `${all.survived}`],
  ]);
  return table.map((cells) => cells.join("  ").trimEnd()).join("\n");
}

/** The start of a trial's error, and how to make it again. */
export function report(type: Type, { trial, error }: Result): string {
  const lines = (error?.message ?? "").trimEnd().split("\n").slice(0, 40)
    .map((line) => line.slice(0, 200));
  return `${trialText(trial)}\n${lines.join("\n")}\n` +
    `again: make faults TYPES=${type} ONLY='${trialText(trial)}'\n`;
}
