/**
 * `make faults`: tries all faults, or what `ONLY` in the environment names as a
 * failure does. Arguments: tunnel types. Fails if one was not survived.
 */
import { fromFileUrl } from "@std/path";
import { has } from "../../tools/test_plan.ts";
import {
  report,
  type Result,
  run,
  summary,
  TRACES,
  trialsOf,
  type Type,
} from "./matrix.ts";
import { parseTrial, type Trial } from "./trial.ts";

const say = (text: string) =>
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

function stepsIn(trials: readonly Trial[]): number {
  const key = ({ operation, step }: Trial) => operation + JSON.stringify(step);
  return new Set(trials.map(key)).size;
}

async function tryHere(type: Type): Promise<boolean> {
  const only = Deno.env.get("ONLY");
  const trials = only ? [parseTrial(only)] : await trialsOf(type);
  say(`${type}: ${stepsIn(trials)} steps, ${trials.length} trials`);
  if (!TRACES) say("pvpn's own writes are left out: only on x86-64");
  const results: Result[] = await run(type, trials, (result) => {
    if (result.error) say(`\n${report(type, result)}`);
  });
  const reached = results.filter(({ reached }) => reached);
  const missed = results.length - reached.length;
  say(`\n${summary(reached)}`);
  if (missed > 0) say(`${missed} had ended before the fault`);
  return results.every(({ error }) => error === undefined);
}

/** Runs this program in a machine whose kernel has ppp. */
async function tryInVm(type: Type): Promise<boolean> {
  const path = (file: string) => fromFileUrl(new URL(file, import.meta.url));
  const { success } = await new Deno.Command(path("../lab/vm.sh"), {
    args: [
      ...[Deno.execPath(), "run", "-A", "--no-check", path("main.ts"), type],
    ],
    env: { VM_TIMEOUT: Deno.env.get("VM_TIMEOUT") || "86400" },
    stdin: "null",
  }).spawn().status;
  return success;
}

let survived = true;
for (const type of Deno.args as Type[]) {
  const here = type !== "ppp" || await has("ppp");
  if (!await (here ? tryHere(type) : tryInVm(type))) survived = false;
}
Deno.exit(survived ? 0 : 1);
