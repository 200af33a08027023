/** What the benchmarks share. */
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";

/** Reads the first byte from the far end; a bash script. */
export const READ = `exec 3<>/dev/tcp/${ADDRESS.inet}/5200 && read -r -u 3 _`;
/** The network that the far end is in. */
export const NETWORK = "10.88.0.0/24";

/** One way to the far end: bash scripts. */
export interface Way {
  /** What is measured. */
  readonly run: string;
  /** Cleans up after it. */
  readonly after?: string;
}

/** Connects with pvpn, up to the first byte. */
export function tunnel(type: string): Way & { after: string } {
  return {
    run: `exec 4< <(exec ${pvpnBinary()} -t ${type} root@server ${NETWORK})
      read -r -u 4 _; ${READ}`,
    // It may still be ending; -S waits for its lock.
    after: `${pvpnBinary()} -S >/dev/null`,
  };
}

/** What others are compared to. */
export const FLOOR: readonly [string, Way] = [
  "`ssh HOST true`",
  { run: "ssh root@server true" },
];

/** The value that a part of all is not above: the middle one without. */
export function quantile(values: readonly number[], part = 0.5): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * part)] ?? NaN;
}

/** Milliseconds that a script takes on the client, measured there. */
export async function measure(lab: Lab, script: string): Promise<number> {
  const timed = `s=$EPOCHREALTIME\n${script}\ne=$EPOCHREALTIME
    [ $? = 0 ] && echo $(( (\${e/./} - \${s/./}) ))`;
  return Number(await lab.client.ok(["bash", "-c", timed])) / 1000;
}

/** Prints a Markdown table. */
export async function print(
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.join(" | ")} |`;
  const rule = `|${"---|".repeat(head.length)}`;
  const text = [title, "", line(head), rule, ...rows.map(line), ""];
  await Deno.stdout.write(new TextEncoder().encode(text.join("\n")));
}
