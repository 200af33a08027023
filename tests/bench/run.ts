/**
 * Runs all benchmarks and writes docs/performance.md and docs/performance.svg:
 * the text of the page stays, what stands between its marks is replaced.
 *
 * Usage: deno run -A tests/bench/run.ts [ROUNDS [PART]...]
 */
import { fromFileUrl } from "@std/path";
import { pvpnBinary } from "../lab/pvpn.ts";
import { VERSION } from "../../lib/version.ts";
import { chart, withPart } from "./report.ts";

const rounds = Number(Deno.args[0] || 4);
const only = Deno.args.slice(1);

/** The parts of the page: programs beside this one, and their arguments. */
const PARTS: readonly (readonly [string, ...number[]])[] = [
  ["connect", 3 * rounds],
  ["counted", rounds],
  ["throughput", 3 * rounds, 2],
  ["resident", 30],
  ["scale", 100, 3],
  ["link", Math.ceil(rounds / 2), 4],
];

const chosen = PARTS.filter(([name]) =>
  only.length === 0 || only.includes(name)
);
if (!(rounds >= 1) || chosen.length < only.length) {
  const names = PARTS.map(([name]) => name).join(", ");
  throw new Error(`usage: run.ts [ROUNDS [PART]...]; parts: ${names}`);
}

const pathOf = (path: string) =>
  fromFileUrl(new URL(`../../${path}`, import.meta.url));

/** What a command prints; what it says on the way is on the terminal. */
async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(command, {
    ...{ args, stdin: "null", stderr: "inherit" },
  }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
  return new TextDecoder().decode(stdout).trim();
}

/** What the figures depend on, as a list in Markdown. */
async function machine(): Promise<string> {
  const cpus = await Deno.readTextFile("/proc/cpuinfo");
  const model = /^model name\s*: (.*)$/m.exec(cpus)?.[1] ?? "unknown";
  const ask = (script: string) => run("sh", ["-c", script]);
  const { size } = await Deno.stat(pvpnBinary());
  const facts: Record<string, string> = {
    date: new Date().toISOString().slice(0, 10),
    processors: `${navigator.hardwareConcurrency} × ${model}`,
    "load before the run, 1 min average": `${Deno.loadavg()[0]!.toFixed(1)}`,
    kernel: `Linux ${Deno.osRelease()}`,
    ssh: await ask("ssh -V 2>&1 | cut -d, -f1"),
    sshuttle: await ask("sshuttle --version 2>/dev/null || echo none"),
    perl: await ask("perl -e 'printf \"%vd\", $^V'"),
    pvpn: `${VERSION}, ${(size / 1e6).toFixed(0)} MB`,
  };
  return Object.entries(facts).map(([key, value]) => `- ${key}: ${value}`)
    .join("\n");
}

const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));
const path = pathOf("docs/performance.md");
/** Puts a part into the page at once: the next one may fail. */
async function put(name: string, text: string): Promise<void> {
  await say(`${text}\n`);
  const page = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, withPart(page, name, text));
}

if (only.length === 0) await put("machine", await machine());
for (const [name, ...args] of chosen) {
  await say(`${name}:\n`);
  const program = pathOf(`tests/bench/${name}.ts`);
  const words = ["run", "-A", "--no-check", program, ...args.map(String)];
  try {
    const text = await run(Deno.execPath(), words);
    await put(name, text || "Not measured: there is no virtual machine here.");
  } catch (error) {
    await put(name, `Not measured: ${name}.ts failed.`);
    await say(`${error}\n`);
    Deno.exitCode = 1;
  }
}
await run(Deno.execPath(), ["fmt", "--quiet", path]);
const page = await Deno.readTextFile(path);
await Deno.writeTextFile(pathOf("docs/performance.svg"), chart(page));
