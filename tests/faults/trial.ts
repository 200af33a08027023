/** What is tried: a step of an operation, and what becomes of it. */
import { parseStep, type Side, type Step, stepText } from "./gate.ts";

/** What is disturbed. */
export const OPERATIONS = ["connect", "reconnect", "stop"] as const;

/** One of {@linkcode OPERATIONS}. */
export type Operation = typeof OPERATIONS[number];

/** What becomes of a step: who is killed, and what the step is told then. */
export interface Fault {
  readonly kill?: "pvpn" | "ssh";
  readonly word: string;
}

/** Faults by their names. */
const FAULTS = {
  client: {
    "fails": { word: "fail" },
    "fails when done": { word: "late" },
    "kill -9 before": { kill: "pvpn", word: "fail" },
    "kill -9 meanwhile": { kill: "pvpn", word: "run" },
  },
  server: {
    "fails": { word: "fail" },
    "fails when done": { word: "late" },
    "kill -9 meanwhile": { kill: "pvpn", word: "run" },
    "ssh is cut": { kill: "ssh", word: "run" },
  },
  line: {
    "is garbage": { word: "garbage" },
    "kill -9 before": { kill: "pvpn", word: "run" },
    "ssh is cut": { kill: "ssh", word: "run" },
  },
  file: {
    "fails": { word: "fail" },
    "kill -9 before": { word: "kill" },
    "kill -9 after": { word: "late" },
  },
} as const satisfies Record<Side, Record<string, Fault>>;

/** The names of a step's faults. */
export function faultsOf({ side, name }: Step): string[] {
  const all = Object.keys(FAULTS[side]);
  // A lock on a file of one's own fails where the kernel has no memory left.
  return name.startsWith("flock:") ? all.slice(1) : all;
}

/** A trial: what, where, how. */
export interface Trial {
  readonly operation: Operation;
  readonly step: Step;
  readonly fault: string;
  /** What tidies after a killed run that was to connect, or to stop. */
  readonly then: "-S" | "start";
}

/** A trial as {@linkcode parseTrial} reads it. */
export function trialText({ operation, step, fault, then }: Trial): string {
  return [operation, stepText(step), fault, then].join(": ");
}

/** Reads {@linkcode trialText}. */
export function parseTrial(text: string): Trial {
  const [operation, step = "", fault = "", then] = text.split(": ");
  const trial = { operation, step: parseStep(step), fault, then } as Trial;
  if (OPERATIONS.includes(trial.operation) && faultOf(trial)) return trial;
  throw new Error(`not a trial: ${text}`);
}

/** What a trial's fault is; undefined for one that is not there. */
export function faultOf({ step, fault }: Trial): Fault | undefined {
  return (FAULTS[step.side] as Record<string, Fault>)[fault];
}

/** Whether pvpn itself is killed: at its own writes, trace.pl does that. */
export function kills(trial: Trial): boolean {
  const { kill, word } = faultOf(trial)!;
  return kill === "pvpn" || trial.step.side === "file" && word !== "fail";
}
