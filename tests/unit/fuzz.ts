/**
 * A fuzzer for whatever takes data from outside: valid inputs that are cut,
 * joined, repeated and sprinkled with what parsers stumble over.
 *
 * Every run tries the same inputs. PVPN_FUZZ_RUNS tries more of them for each
 * target, PVPN_FUZZ_SEED others; a failure says which.
 */
import process from "node:process";
import { assert } from "@std/assert";
import { PvpnError } from "../../lib/errors.ts";

function setting(name: string, usual: number): number {
  const value = Number(Deno.env.get(name) || usual);
  assert(Number.isSafeInteger(value) && value >= 0, `${name} is no number`);
  return value;
}

const SEED = setting("PVPN_FUZZ_SEED", 0);
/** How many inputs each target gets. */
export const RUNS: number = setting("PVPN_FUZZ_RUNS", 2000);

/** Random choices that are the same in every run. */
export class Seeded {
  #state: number;

  /** @param seed What differs from test to test. */
  constructor(seed: number) {
    this.#state = seed + SEED;
  }

  /** A number from 0 up to, not including, `below` (mulberry32). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * below);
  }

  /** One of `from`. */
  pick<T>(from: readonly T[] | string): T {
    return from[this.below(from.length)] as T;
  }

  /** Up to `most` of `from`, joined. */
  text(from: readonly string[] | string, most: number): string {
    const length = this.below(most + 1);
    return Array.from({ length }, () => this.pick<string>(from)).join("");
  }

  /** A number of so many bits. */
  bits(count: number): bigint {
    let value = 0n;
    for (let i = 0; i < count; i++) value = value << 1n | BigInt(this.below(2));
    return value;
  }
}

/** What parsers, shells, terminals and number readers stumble over. */
const ODD: readonly string[] = [
  ..."\0\t\n\r\x1b\x7f -'\"\\`$;|&<>(){}[]*?~#!=,:/.@%^+_0129azAZ",
  ...["\r\n", "\x1b[2J", "\x9b", "\u2028", "\u202e", "\u0130", "\u212a"],
  ...["\ud800", "\ufeff", "\u00a0", "\u{1f600}", "e\u0301", "\uff11"],
  ...["..", "../../x", "-j", "--", "$(id)", "`id`", "${x}", "%s", "%00"],
  ...["-1", "00", "1e9", "0x1", "65536", "4294967296", "1".repeat(400)],
  ...["NaN", "null", "true", "undefined", "__proto__", "constructor"],
  ...["default", "any", "none", "::", "0.0.0.0/0", "::ffff:1.2.3.4"],
];

/** One input: a sample, changed a few times. */
export function mutated(
  seeded: Seeded,
  samples: readonly string[],
  pieces: readonly string[] = [],
): string {
  const place = (text: string) => seeded.below(text.length + 1);
  const insert = (text: string, what: string) => {
    const at = place(text);
    return text.slice(0, at) + what + text.slice(at);
  };
  const changes: readonly ((text: string) => string)[] = [
    (text) => insert(text, seeded.pick(ODD)),
    (text) => insert(text, seeded.pick(ODD)),
    (text) => insert(text, seeded.pick(pieces.length > 0 ? pieces : ODD)),
    (text) => text.slice(0, place(text)),
    (text) => text.slice(place(text)),
    (text) => { // one character is another
      const at = place(text);
      return text.slice(0, at) + seeded.pick(ODD) + text.slice(at + 1);
    },
    (text) => { // a part of it is gone, or there once more
      const [from, to] = [place(text), place(text)];
      return text.slice(0, from) + text.slice(to);
    },
    (text) => text.slice(0, place(text)) + seeded.pick(samples),
    (text) => text.split("\n").toSorted(() => seeded.below(3) - 1).join("\n"),
    (text) => {
      const [from, size] = [place(text), 1 + seeded.below(8)];
      const part = text.slice(from, from + size);
      return insert(text, part.repeat(seeded.pick([2, 3, 30, 1000])));
    },
  ];
  let text = seeded.below(8) === 0
    ? seeded.text([...ODD, ...pieces], 20)
    : seeded.pick(samples);
  for (let left = 1 + seeded.below(6); left > 0; left--) {
    text = seeded.pick(changes)(text).slice(0, 100_000);
  }
  return text;
}

/** Something that takes data from outside. */
export interface Target<T> {
  /** Inputs that it takes. */
  readonly samples: readonly string[];
  /** What means something to it. */
  readonly pieces?: readonly string[];
  /** Makes an input, where more than a text's form is to be changed. */
  readonly make?: (seeded: Seeded) => string;
  /** Reads it; what it cannot read it may refuse with a PvpnError. */
  readonly parse: (text: string) => T | Promise<T>;
  /** Fails where what it gave is not what it promises. */
  readonly check?: (value: T, text: string) => void | Promise<void>;
  /** How many inputs it gets, where each takes long: a part of all. */
  readonly share?: number;
}

/**
 * No input may take more of the processor, in microseconds: it would hang a
 * session. The clock does not tell, where the machine is busy.
 */
const SLOW = 1_000_000;

/** A test that gives a target valid inputs, and then hostile ones. */
export function fuzz<T>(name: string, target: Target<T>): void {
  const { samples, pieces, make, parse, check, share = 1 } = target;
  Deno.test(`${name} survives hostile input`, async () => {
    for (const sample of samples) await check?.(await parse(sample), sample);
    const seeded = new Seeded(
      [...name].reduce((a, c) => a + c.charCodeAt(0), 0),
    );
    const runs = Math.ceil(RUNS * share);
    for (let run = 0; run < runs; run++) {
      const text = make && seeded.below(2)
        ? make(seeded)
        : mutated(seeded, samples, pieces);
      const begun = process.cpuUsage();
      try {
        const value = await parse(text);
        await check?.(value, text);
      } catch (error) {
        if (!isForUser(error)) {
          const which = `PVPN_FUZZ_SEED=${SEED} PVPN_FUZZ_RUNS=${RUNS}`;
          throw new Error(
            `${which}: run ${run}: ${JSON.stringify(text.slice(0, 2000))}`,
            { cause: error },
          );
        }
      }
      const { user } = process.cpuUsage(begun);
      assert(user < SLOW, `${user} µs: ${JSON.stringify(text)}`);
    }
  });
}

/** Whether an error is one that a user can be shown. */
function isForUser(error: unknown): boolean {
  return error instanceof PvpnError && error.message !== "" &&
    error.hints.every((hint) => typeof hint === "string");
}
