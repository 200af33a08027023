/**
 * Each change to this machine as data that says how to take it back, never as
 * shell text.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { ProcessId } from "./process.ts";
import { DEVICE_REGEXP } from "./remote.ts";
import {
  closedLink,
  parseResolverStep,
  type ResolverStep,
} from "./resolver_step.ts";

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
