/**
 * Tells this machine whom to ask for names, and closes all other ways.
 *
 * @module
 */
import { formatAddress } from "./address.ts";
import { CommandError } from "./command.ts";
import type { DnsState } from "./dns_state.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { DEVICE_GROUP, IpError } from "./link.ts";
import { makeDevice } from "./make_device.ts";
import { formatResolvConf, SET_SCRIPT } from "./resolv_file.ts";
import { inDomain, type Resolvers } from "./resolver.ts";
import {
  closedLink,
  guardTable,
  type Owner,
  recordName,
  type ResolverStep,
} from "./resolver_step.ts";
import { deleteLink, type UndoStep } from "./undo_step.ts";
import type { UpRequest } from "./up.ts";

// What names are asked by: DNS, DNS over TLS and QUIC (RFC 7858, 9250), and
// LLMNR (RFC 4795), which tells the local network what was looked for. mDNS is
// for names of that network only (RFC 6762).
const PORTS = "{ 53, 853, 5355 }";

/** A port of this machine's own where nobody listens (tcpmux, RFC 1078). */
const REFUSING = 1;

/**
 * Rules of nftables by which no name is asked for outside of tunnels.
 * Programs that bind to a device, as systemd-resolved does, are not held by
 * routes: where there is none, the kernel takes the address for a neighbour's.
 *
 * Led to a port where nobody listens, a question is refused as by a host that
 * has no resolver, and whoever asked can go on. What is rejected fails to be
 * sent, of which systemd-resolved says nothing to those that wait for it; that
 * is for what the first chain does not see, as connections from before.
 */
export function guardRules(device: string): string {
  const table = guardTable(device);
  return `add table ${table}
delete table ${table}
table ${table} {
  chain refuse {
    type nat hook output priority -100
    oifname "lo" accept
    meta oifgroup ${DEVICE_GROUP} accept
    udp dport ${PORTS} redirect to :${REFUSING}
    tcp dport ${PORTS} redirect to :${REFUSING}
  }
  chain names {
    type filter hook output priority filter
    oifname "lo" accept
    meta oifgroup ${DEVICE_GROUP} accept
    meta l4proto { tcp, udp } th dport ${PORTS} reject
  }
}
`;
}

/** Records a step that is not yet recorded. */
async function record(
  { journal }: UpRequest,
  owner: ResolverStep["owner"],
): Promise<void> {
  const { device, undo } = journal.state;
  const have = (step: UndoStep) =>
    step.kind === "resolver" && step.owner === owner;
  if (undo.some(have)) return;
  await journal.record({ kind: "resolver", owner, device });
}

/** Closes all other ways for names, before the tunnel's are open. */
export async function guardNames(request: UpRequest): Promise<void> {
  const { journal: { state }, runner } = request;
  if (!state.names?.guard) return;
  await record(request, "guard");
  const input = guardRules(state.device);
  await runner.change(["nft", "-f", "-"], { input });
}

/**
 * Tells this machine of the resolvers.
 *
 * @throws {PvpnError} Why it could not be told.
 */
export async function setResolvers(
  request: UpRequest,
  resolvers: Resolvers,
): Promise<void> {
  const { journal } = request;
  const dns = journal.state.dns!;
  const names = journal.state.names!;
  try {
    for (const owner of names.owners) {
      await SET[owner](request, dns, resolvers);
    }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const said = error.output.stderr.trim().split("\n").at(-1);
    throw new PvpnError(
      ExitCode.dns,
      `the resolvers could not be set: ${said || error.message}`,
      error.hints,
      { cause: error },
    );
  }
  const addresses = resolvers.addresses.map(formatAddress);
  const { domains } = resolvers;
  await journal.update({ names: { ...names, inUse: { addresses, domains } } });
}

type Setter = (
  request: UpRequest,
  dns: DnsState,
  resolvers: Resolvers,
) => Promise<void>;

const SET: Readonly<Record<Owner, Setter>> = {
  async file(request, _dns, resolvers) {
    const { journal, runner } = request;
    await record(request, "file");
    const lines = formatResolvConf(resolvers);
    const words = [journal.state.device, lines];
    await runner.change(["sh", "-c", SET_SCRIPT, "pvpn", ...words]);
  },
  async openresolv(request, _dns, resolvers) {
    const { journal, runner } = request;
    await record(request, "openresolv");
    // Before all others, and instead of them.
    const name = recordName(journal.state.device);
    const argv = ["resolvconf", "-a", name, "-m", "0", "-x"];
    await runner.change(argv, { input: formatResolvConf(resolvers) + "\n" });
  },
  resolved: setResolved,
};

/** An address that nobody has: the dummy address of IPv4 (RFC 7600). */
const DUMMY = "192.0.0.8";

/**
 * Tells systemd-resolved, by the tunnel's device.
 *
 * When a device has no carrier or is gone, which is when the tunnel is down,
 * systemd-resolved asks by other devices as if this one had never been. So a
 * second one that is always up claims the same names: with a resolver at its
 * own address, where nobody listens, it refuses them at once. While both are
 * there both are asked, and the one that has an answer is heard.
 */
async function setResolved(
  request: UpRequest,
  dns: DnsState,
  { addresses, domains }: Resolvers,
): Promise<void> {
  const { device } = request.journal.state;
  const all = dns.domains.length === 0;
  // One to search in also leads all names that are in it there.
  const search = domains.filter((name) =>
    all || dns.domains.some((domain) => inDomain(name, domain))
  );
  const routed = all ? ["~."] : dns.domains.map((name) => `~${name}`);
  if (await closeLink(request)) {
    const closed = closedLink(device);
    await tell(request, closed, [["dns", DUMMY], ["domain", ...routed]]);
    await tell(request, closed, [["default-route", "no"]]);
  }
  await record(request, "resolved");
  await tell(request, device, [
    ["dns", ...addresses.map(formatAddress)],
    ["domain", ...routed, ...search],
    ["default-route", all ? "yes" : "no"],
    // The tunnel encrypts; a name that is short is not shouted into it.
    ["dnsovertls", "no"],
    ["llmnr", "no"],
  ]);
}

/**
 * Makes the device that refuses names.
 *
 * @returns Whether it is there: a kernel may have none of its kind.
 * @throws {PvpnError} Where nothing else keeps names in the tunnel.
 */
async function closeLink(request: UpRequest): Promise<boolean> {
  const { journal: { state } } = request;
  const link = closedLink(state.device);
  const undo = deleteLink(link);
  const have = state.undo.some((step) =>
    step.kind === "ip" && step.object === "link" && step.words[1] === link
  );
  try {
    await makeDevice(request, have ? [] : [undo], [
      { words: ["link", "add", "dev", link, "type", "dummy"] },
      { words: ["address", "add", `${DUMMY}/32`, "dev", link] },
      { words: ["link", "set", "dev", link, "up"] },
    ], { keep: request.resume });
    return true;
  } catch (error) {
    if (!(error instanceof IpError)) throw error;
    if (state.names?.guard) return false;
    throw new PvpnError(
      ExitCode.dns,
      `nothing keeps names in the tunnel while it is down: ${error.message}`,
      ["systemd-resolved needs a link for that: modprobe dummy"],
      { cause: error },
    );
  }
}

/** How long systemd-resolved may take to see a new device, in milliseconds. */
const NEW_LINK = 2000;

/** Runs some `resolvectl VERB DEVICE WORD...`, at the same time. */
async function tell(
  { runner }: UpRequest,
  device: string,
  settings: readonly (readonly string[])[],
): Promise<void> {
  const end = performance.now() + NEW_LINK;
  const set = async ([verb = "", ...words]: readonly string[]) => {
    while (true) {
      try {
        await runner.change(["resolvectl", verb, device, ...words]);
        return;
      } catch (error) {
        const early = error instanceof CommandError &&
          / not known/.test(error.output.stderr);
        if (!early || performance.now() > end) throw error;
        // The kernel has told it, but nothing tells when it has listened.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const results = await Promise.allSettled(settings.map(set));
  const failed = results.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}
