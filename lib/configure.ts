/**
 * Gives a tunnel its addresses and routes on this machine.
 *
 * @module
 */
import { formatAddress, type Route } from "./address.ts";
import type { Runner } from "./command.ts";
import type { Journal } from "./journal.ts";
import { addLine, applyIp, IpError } from "./link.ts";
import { formatPair } from "./pair.ts";
import { coversServer, nexthopTo, planRoutes } from "./route.ts";
import type { Server } from "./state.ts";
import type { Tunnel } from "./tunnel.ts";
import type { IpStep, UndoStep } from "./undo.ts";
import type { UpRequest } from "./up.ts";

const same = (a: UndoStep) => (b: UndoStep) =>
  JSON.stringify(a) === JSON.stringify(b);

/**
 * Adds what is missing; each step is recorded before.
 *
 * @throws {PvpnError} What could not be added; steps that were not taken are
 * not recorded then.
 */
export async function configure(
  request: UpRequest,
  { remote: { pair }, negotiated = false }: Tunnel,
  routes: readonly Route[],
  server: Server | undefined,
): Promise<void> {
  const { journal, resume, runner } = request;
  const { device, slot, undo } = journal.state;
  const nexthop = server !== undefined && coversServer(routes, server).byNetwork
    ? await nexthopTo(server, device, runner)
    : undefined;
  const steps = planRoutes({ device, slot, pair, routes, server, nexthop });
  const fresh = steps.filter((step) => !undo.some(same(step)));
  await journal.update({
    pair: formatPair(pair),
    server,
    undo: [...undo, ...fresh],
  });
  const planned = steps.map((step) => ({ step, line: addLine(step) }));
  const lines = (family: 4 | 6) =>
    planned.filter(({ step }) => step.family === family)
      .map(({ line }) => line);
  const address = [
    ...["address", "add", formatAddress(pair.local)],
    ...["peer", formatAddress(pair.peer), "dev", device],
  ];
  const link = [{ words: address }, {
    words: ["link", "set", "dev", device, "up"],
  }];
  const keep = { keep: resume };
  // What closes IPv6 first: it has no hole that another step must make.
  const batches = [
    { family: 6, lines: lines(6) },
    { family: 4, lines: [...negotiated ? [] : link, ...lines(4)] },
  ] as const;
  let done = 0;
  try {
    for (const batch of batches) {
      await applyIp(batch.family, batch.lines, runner, keep);
      done++;
    }
  } catch (error) {
    if (!(error instanceof IpError)) throw error;
    // What was not added is somebody else's, if it is there: not to be undone.
    const later = batches.slice(done + 1).flatMap((batch) => batch.lines);
    const missed = new Set([...error.missed, ...later]);
    const ours = planned.filter(({ line }) => !missed.has(line));
    await journal.update({
      undo: journal.state.undo.filter((step) =>
        !fresh.some(same(step)) || ours.some((one) => same(step)(one.step))
      ),
    });
    throw error;
  }
  if (resume) await dropStale(journal, steps, runner);
}

/** Takes back the pin of a server that has another address now. */
async function dropStale(
  journal: Journal,
  steps: readonly IpStep[],
  runner: Runner,
): Promise<void> {
  const stale = (step: UndoStep) =>
    step.kind === "ip" && step.object !== "link" && !steps.some(same(step));
  if (journal.state.undo.some(stale)) await journal.undo(runner, stale);
}
