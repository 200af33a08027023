/** What the benchmarks share: figures, and the Markdown that shows them. */
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { ECHO_PORT } from "../lab/servers.ts";

/** The network that the far end is in. */
export const NETWORK = "10.88.0.0/24";

/** What the time of all others is compared to. */
export const FLOOR = "`ssh HOST true`";
/** {@linkcode FLOOR} in the lab. */
export const LOGIN = "ssh root@server true";

/** Bash that reads the first byte from the far end. */
export function readFirst(address: string = ADDRESS.inet): string {
  return `exec 3<>/dev/tcp/${address}/${ECHO_PORT} && read -r -u 3 _`;
}

/** Milliseconds that a bash script takes on the client, measured there. */
export async function measure(lab: Lab, script: string): Promise<number> {
  const timed = `s=$EPOCHREALTIME\n${script}\nstatus=$? e=$EPOCHREALTIME
    [ $status = 0 ] && echo $(( (\${e/./} - \${s/./}) ))`;
  return Number(await lab.client.ok(["bash", "-c", timed])) / 1000;
}

/** What a part of all values is below, the median without; between two, linear. */
export function quantile(values: readonly number[], part = 0.5): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)] ?? NaN;
  const above = sorted[Math.ceil(place)] ?? NaN;
  return below + (above - below) * (place % 1);
}

/** A number as tables have it; a dash where there is none. */
export function shown(value: number, digits = 0): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "–";
}

/** Values by what they are of, one a round. */
export class Figures {
  readonly #all = new Map<string, number[]>();

  /** Adds the value of the next round. */
  add(key: string, value: number): void {
    this.#all.set(key, [...this.#all.get(key) ?? [], value]);
  }

  /** The median of all rounds. */
  median(key: string, digits = 0): string {
    return shown(quantile(this.#all.get(key) ?? []), digits);
  }

  /**
   * The median of each round's ratio to another figure of the same round, so
   * that a change in the machine's speed from round to round changes nothing.
   */
  ratio(key: string, to: string, digits = 2): string {
    const others = this.#all.get(to) ?? [];
    const all = this.#all.get(key) ?? [];
    const ratios = all.map((value, i) => value / (others[i] ?? NaN));
    return shown(quantile(ratios), digits);
  }
}

/** Every other round backwards, so that nobody always comes after the same. */
export function inTurn<T>(all: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? all : all.toReversed();
}

/** Tells whoever waits what is being measured. */
export async function progress(text: string): Promise<void> {
  await Deno.stderr.write(new TextEncoder().encode(`bench: ${text}\n`));
}

/** Prints a Markdown table below what is said of it. */
export async function print(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<void> {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = line(head.map((_, i) => i === 0 ? "---" : "---:"));
  const text = [title, "", line(head), rule, ...rows.map(line), "", ""];
  await Deno.stdout.write(new TextEncoder().encode(text.join("\n")));
}
