import { assert, assertEquals } from "@std/assert";
import { stopOwner } from "../../lib/process.ts";
import { StandIn } from "../../lib/stand_in.ts";
import { keepAwake, runs, system, until, within } from "./helpers.ts";

Deno.test("a stand-in ends when a tunnel's owner is asked to", async () => {
  using _ = keepAwake();
  const standIn = await StandIn.start(system);
  assert(runs(standIn.id.pid));
  await within(5, stopOwner(system, standIn.id));
  await within(5, standIn.ended);
  assert(!runs(standIn.id.pid));
  await within(5, standIn.release());
});

Deno.test("a stand-in ends when it is let go", async () => {
  using _ = keepAwake();
  const standIn = await StandIn.start(system);
  await within(5, standIn.release());
  await until(() => !runs(standIn.id.pid));
});

Deno.test("a stand-in takes no part in what happens on a terminal", async () => {
  using _ = keepAwake();
  const standIn = await StandIn.start(system);
  for (const signal of ["SIGINT", "SIGHUP", "SIGQUIT"] as const) {
    Deno.kill(standIn.id.pid, signal);
  }
  const script = 'read -r stat <"/proc/$1/status"; echo here';
  const { stdout } = await system.query([
    ...["sh", "-c", script, "test", `${standIn.id.pid}`],
  ]);
  assertEquals(stdout, "here\n");
  assert(runs(standIn.id.pid));
  await within(5, standIn.release());
  await until(() => !runs(standIn.id.pid));
});
