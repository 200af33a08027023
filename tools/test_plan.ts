/** Which test files run on this machine, and which in a virtual one. */
import { walk } from "@std/fs";

/** What a kernel may lack, and a command that tells whether this one has it. */
export const FEATURES = {
  ppp: "modprobe -q ppp_async; exec 3</dev/ppp",
  netem: "unshare --net tc qdisc add dev lo root netem delay 1ms",
  wireguard: "unshare --net ip link add wg0 type wireguard",
  dummy: "unshare --net ip link add dummy0 type dummy",
} as const;

/** One of {@linkcode FEATURES}. */
export type Feature = keyof typeof FEATURES;

/** What the tests of a file need of the kernel. */
const NEEDS: readonly (readonly [RegExp, readonly Feature[]])[] = [
  [/(^|\/)tests\/vm\/[^/]*$/, ["ppp", "netem", "wireguard"]],
  [/(^|\/)tests\/e2e\/ppp_death[^/]*$/, ["ppp", "netem"]],
  [/(^|\/)tests\/e2e\/ppp[^/]*$/, ["ppp"]],
  [/(^|\/)tests\/e2e\/resolved[^/]*$/, ["ppp", "dummy"]],
];

/** What runs once more in the virtual machine: under another kernel. */
const TWICE = /(^|\/)tests\/e2e\/(connect|nat_ipv6)_test\.ts$/;

/** What takes longest there, and begins first. */
const LONG = /(^|\/)tests\/e2e\/(resolved|ppp_death)_test\.ts$/;

/** Files by where they run. */
export interface Plan {
  readonly here: readonly string[];
  readonly virtual: readonly string[];
}

/** The test files that `deno test` would find in files and folders. */
export async function testFiles(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const info = await Deno.stat(path).catch(() => undefined);
    if (!info?.isDirectory) {
      found.push(path); // if there is none, deno test will say so
      continue;
    }
    for await (const entry of walk(path, { includeDirs: false })) {
      if (/(^|_|\.|\/)test\.[jt]sx?$/.test(entry.path)) found.push(entry.path);
    }
  }
  return [...new Set(found)].sort();
}

/** Whether this machine's kernel has a feature, for a user who may use it. */
export async function has(feature: Feature): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", FEATURES[feature]],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** Plans a run of some files: where each of them has what it needs. */
export async function plan(
  files: readonly string[],
  options: { twice: boolean; has?: (feature: Feature) => Promise<boolean> },
): Promise<Plan> {
  const known = new Map<Feature, Promise<boolean>>();
  const ask = (feature: Feature) => {
    const answer = known.get(feature) ?? (options.has ?? has)(feature);
    known.set(feature, answer);
    return answer;
  };
  const here: string[] = [];
  const virtual: string[] = [];
  for (const file of files) {
    const needs = NEEDS.find(([pattern]) => pattern.test(file))?.[1] ?? [];
    const all = await Promise.all(needs.map(ask));
    (all.every(Boolean) ? here : virtual).push(file);
    if (options.twice && TWICE.test(file)) virtual.push(file);
  }
  const long = virtual.filter((file) => LONG.test(file));
  const rest = virtual.filter((file) => !LONG.test(file));
  return { here, virtual: [...long, ...rest] };
}
