/**
 * Gives a tunnel its addresses and routes on this machine.
 *
 * @module
 */
import {
  formatAddress,
  parseRoute,
  type Prefix,
  type Route,
} from "./address.ts";
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import type { Journal } from "./journal.ts";
import {
  addLine,
  applyIp,
  DEVICE_GROUP,
  IpError,
  type IpLine,
} from "./link.ts";
import { formatPair, type Pair, parsePair6 } from "./pair.ts";
import type { RemoteFacts } from "./remote.ts";
import { planOutside, planRoutes } from "./route.ts";
import {
  excludedOf,
  MIN_MTU_6,
  type Server,
  type TunnelState,
} from "./state.ts";
import type { Flow, Tunnel } from "./tunnel.ts";
import type { IpStep, UndoStep } from "./undo_step.ts";
import type { UpRequest } from "./up.ts";

const isPrefix = (route: Route): route is Prefix => route !== "default";
const same = (a: UndoStep) => (b: UndoStep) =>
  JSON.stringify(a) === JSON.stringify(b);

// A device takes no word of the far end for its routes and addresses
// (RFC 4861, 4862), and asks for none; what it has taken since it is up goes.
// Addresses that were negotiated stay. All of this goes with the device.
const SET_IPV6 = `
conf=/proc/sys/net/ipv6/conf/$1
[ -e "$conf" ] || exit 0
if [ "$2" = off ]; then
  echo 1 >"$conf/disable_ipv6"
  exit
fi
echo 0 >"$conf/accept_ra"
echo 0 >"$conf/autoconf"
echo 1 >"$conf/addr_gen_mode"
echo 0 >"$conf/disable_ipv6"
if [ "$2" = keep ]; then
  ip -6 route flush dev "$1" proto ra
fi
`.trim();

/** The IPv6 pair, where the server's end has it too. */
function pair6Of({ pair6 }: TunnelState, { ipv6 }: RemoteFacts) {
  return ipv6 === "none" ? undefined : parsePair6(pair6 ?? "");
}

/**
 * Whether, and why not, IPv6 goes through the tunnel.
 *
 * @throws {PvpnError} Where there is a network that needs it.
 */
function tellIpv6(
  request: UpRequest,
  routes: readonly Route[],
  { ipv6 }: RemoteFacts,
): void {
  const { log, resume, journal: { state } } = request;
  const { host, ipv6: mode, mtu, pair6 } = state;
  const needs = routes.some((r) => r !== "default" && r.family === 6);
  if (needs && ipv6 === "none") {
    throw new PvpnError(
      ExitCode.server,
      `"${host}" has no IPv6 for the tunnel, which an IPv6 route needs`,
      ["see, there: sysctl net.ipv6.conf.default.disable_ipv6"],
    );
  }
  if (!routes.includes("default") || resume) return;
  if (mode === "leave") {
    log.warn("IPv6 is left outside of the tunnel, as --ipv6 leave says");
  } else if (mode === "tunnel" && ipv6 === "way") {
    log.info("IPv6 goes through the tunnel as well");
  } else {
    const why = mode === "block"
      ? "as --ipv6 block says"
      : pair6 === undefined
      ? mtu < MIN_MTU_6 ? `it needs --mtu ${MIN_MTU_6}` : "there is none here"
      : ipv6 === "none"
      ? `"${host}" has none`
      : `"${host}" has no way out for it`;
    log.info(`IPv6 is blocked: ${why}`);
  }
}

/**
 * Adds what is missing; each step is recorded before.
 *
 * @throws {PvpnError} What could not be added; steps that were not taken are
 * not recorded then.
 */
export async function configure(
  request: UpRequest,
  { remote, negotiated = false }: Tunnel,
  routes: readonly Route[],
  server: Server | undefined,
  flows: readonly Flow[],
): Promise<void> {
  const { journal, resume, runner } = request;
  const { device, slot, undo, ipv6, beyondMtu } = journal.state;
  if (!runner.dry) tellIpv6(request, routes, remote);
  const { pair } = remote;
  const pair6 = pair6Of(journal.state, remote);
  const steps = planRoutes({
    ...{ device, slot, routes, server, flows, mtu: beyondMtu },
    pairs: pair6 === undefined ? [pair] : [pair, pair6],
    exclude: excludedOf(journal.state).map(parseRoute).filter(isPrefix),
    // Of IPv6, the server must have a default route itself.
    default6: ipv6 === "leave"
      ? "outside"
      : remote.ipv6 === "way"
      ? "open"
      : "closed",
  });
  const fresh = steps.filter((step) => !undo.some(same(step)));
  await journal.update({
    pair: formatPair(pair),
    pairs: undefined,
    server,
    undo: [...undo, ...fresh],
  });
  // Of a tunnel that was up before, the kernel may have dropped what is there.
  const planned = plan(resume ? steps : fresh);
  await runner.change([
    ...["sh", "-c", SET_IPV6, "pvpn", device],
    pair6 === undefined ? "off" : negotiated ? "keep" : "on",
  ]);
  const group = ["group", String(DEVICE_GROUP)];
  const up = { words: ["link", "set", "dev", device, ...group, "up"] };
  const link6 = pair6 === undefined ? [] : [addressLine(device, pair6)];
  const link4 = negotiated ? [] : [addressLine(device, pair)];
  // IPv6 needs the device up before it has routes.
  const batches = [
    {
      family: 6,
      lines: [...link6.length ? [up] : [], ...link6, ...linesOf(planned, 6)],
    },
    { family: 4, lines: [...link4, up, ...linesOf(planned, 4)] },
  ] as const;
  await apply(request, batches, planned, fresh);
  if (resume) await dropStale(journal, steps, runner);
}

/**
 * See {@linkcode TunnelContext.outside}: adds the rules at once, because what
 * was up before leads all into the tunnel already.
 */
export async function keepOutside(
  request: UpRequest,
  routes: readonly Route[],
  flow: Flow,
): Promise<void> {
  const { journal, runner } = request;
  const { device, ipv6, undo } = journal.state;
  const { port } = flow;
  if (!runner.dry && !(/^\d{1,5}$/.test(port) && Number(port) < 65536)) {
    throw new PvpnError(ExitCode.server, `"${port}" is not a port`);
  }
  const steps = planOutside({
    ...{ device, routes, flows: [flow] },
    default6: ipv6 === "leave" ? "outside" : "closed",
  });
  const fresh = steps.filter((step) => !undo.some(same(step)));
  await journal.record(...fresh);
  const planned = plan(fresh);
  const batches = ([6, 4] as const).map((family) => ({
    family,
    lines: linesOf(planned, family),
  }));
  await apply(request, batches, planned, fresh);
}

interface Planned {
  readonly step: IpStep;
  readonly line: IpLine;
}

const plan = (steps: readonly IpStep[]): Planned[] =>
  steps.map((step) => ({ step, line: addLine(step) }));
const linesOf = (planned: readonly Planned[], family: 4 | 6): IpLine[] =>
  planned.filter(({ step }) => step.family === family).map(({ line }) => line);

/** Runs batches; of `fresh` steps that were not taken, none is kept to undo. */
async function apply(
  { journal, resume, runner }: UpRequest,
  batches: readonly {
    readonly family: 4 | 6;
    readonly lines: readonly IpLine[];
  }[],
  planned: readonly Planned[],
  fresh: readonly IpStep[],
): Promise<void> {
  let done = 0;
  try {
    for (const batch of batches) {
      await applyIp(batch.family, batch.lines, runner, { keep: resume });
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
}

function addressLine(device: string, { local, peer }: Pair) {
  const ends = [formatAddress(local), "peer", formatAddress(peer)];
  const more = local.family === 6 ? ["nodad"] : [];
  return { words: ["address", "add", ...ends, "dev", device, ...more] };
}

/** Takes back what is not planned any more: the server, or its IPv6, changed. */
async function dropStale(
  journal: Journal,
  steps: readonly IpStep[],
  runner: Runner,
): Promise<void> {
  const stale = (step: UndoStep) =>
    step.kind === "ip" && step.object !== "link" && !steps.some(same(step));
  if (journal.state.undo.some(stale)) await journal.undo(runner, stale);
}
