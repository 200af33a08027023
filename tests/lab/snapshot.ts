/** The state of a node as text, to prove that nothing was left behind. */
import { createHash } from "node:crypto";
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";

/** Hashes of files that have not changed since: path to state and hash. */
export type HashCache = Map<string, { state: string; hash: string }>;

/** What is asked inside the node: title and command. */
const COMMANDS: readonly (readonly [string, string])[] = [
  ["link", "ip -d link"],
  ["address", "ip addr"],
  ["route", "ip route show table all"],
  ["route6", "ip -6 route show table all"],
  ["rule", "ip rule"],
  ["rule6", "ip -6 rule"],
  ["nft", "nft -s list ruleset"],
  ["sysctl", "sysctl -a -r '^net\\.' 2>/dev/null"],
];

/** Lines that change by themselves. */
const VOLATILE =
  /^net\.\S*(_count|tcp_fastopen_key|netdev_rss_key|stable_secret) = | cache /;

function tidy(line: string): string {
  return line.replace(/ expires \S+/, "").trimEnd();
}

async function kernelState(node: Node): Promise<string[]> {
  const script = COMMANDS.map(([title, command]) =>
    `echo '== ${title}'; ${command}`
  ).join("\n");
  const { stdout, stderr } = await node.run(["sh", "-c", script]);
  // What nft says of rules that are iptables'.
  const errors = stderr.replace(/^(?:# Warning: |XT target ).*\n/gm, "");
  if (errors) throw new Error(`${node.name}: snapshot: ${errors}`);
  return stdout.split("\n").filter((line) => line && !VOLATILE.test(line))
    .map(tidy);
}

/** A content hash, read again only when the file may have changed. */
function hashOf(path: string, info: Deno.FileInfo, cache: HashCache): string {
  const changed = info.ctime?.getTime() ?? 0;
  const state = `${info.ino} ${info.size} ${changed} ${info.mtime?.getTime()}`;
  const known = cache.get(path);
  if (known?.state === state) return known.hash;
  const hash = createHash("sha256").update(Deno.readFileSync(path))
    .digest("hex").slice(0, 16);
  // A file that changed just now may do so again within the clock's tick.
  if (Date.now() - changed > 100) cache.set(path, { state, hash });
  return hash;
}

function describe(
  path: string,
  shown: string,
  info: Deno.FileInfo,
  cache: HashCache,
): string {
  const mode = ((info.mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
  const who = `${mode} ${info.uid}:${info.gid}`;
  const inode = shown === "/etc/resolv.conf" ? ` inode ${info.ino}` : "";
  if (info.isSymlink) return `${shown} -> ${Deno.readLinkSync(path)}${inode}`;
  if (info.isDirectory) return `${shown}/ ${who}`;
  if (!info.isFile) return `${shown} ${who} special`;
  return `${shown} ${who} ${info.size} ${hashOf(path, info, cache)}${inode}`;
}

/** Lists a folder of the node; the host's folders that show in it are left out. */
function tree(
  node: Node,
  top: string,
  name: string,
  cache: HashCache,
): string[] {
  const lines: string[] = [];
  const visit = (path: string, shown: string) => {
    try {
      const info = Deno.lstatSync(node.root + path);
      lines.push(describe(node.root + path, shown, info, cache));
      if (!info.isDirectory || node.kept.includes(path)) return;
      const names = [...Deno.readDirSync(node.root + path)];
      for (const name of names.map(({ name }) => name).sort()) {
        visit(`${path}/${name}`, `${shown}/${name}`);
      }
    } catch (error) {
      // Gone while we looked: what compares snapshots looks again.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  visit(top, name);
  return lines;
}

/** Takes the snapshot; {@linkcode Node.snapshot} is the way to call it. */
export async function takeSnapshot(
  node: Node,
  cache: HashCache,
): Promise<string> {
  const kernel = kernelState(node); // while the folders are read
  const lines: string[] = [];
  for (const folder of ["/etc", "/run", "/tmp", "/var/log", "/dev/net"]) {
    lines.push(`== ${folder}`, ...tree(node, folder, folder, cache));
  }
  lines.push("== ~", ...tree(node, node.home, "~", cache));
  lines.unshift(...await kernel);
  const processes = await node.processes();
  const shown = processes.map(({ comm, args }) => `${comm}: ${args}`).sort();
  return [...lines, "== processes", ...shown, ""].join("\n");
}

/** The lines of a snapshot, each with its section's name. */
function sections(snapshot: string): string[] {
  let title = "";
  return snapshot.split("\n").flatMap((line) => {
    if (line.startsWith("== ")) title = line.slice(3);
    return line && !line.startsWith("== ") ? [`${title}: ${line}`] : [];
  });
}

/** What only one of two snapshots has: `- ` lines of the first, `+ ` of the second. */
export function changes(before: string, after: string): string[] {
  const counts = new Map<string, number>();
  const count = (text: string, by: number) => {
    for (const line of sections(text)) {
      counts.set(line, (counts.get(line) ?? 0) + by);
    }
  };
  count(before, -1);
  count(after, 1);
  return [...counts].flatMap(([line, n]) =>
    Array<string>(Math.abs(n)).fill(`${n < 0 ? "-" : "+"} ${line}`)
  );
}

/**
 * Looks until the snapshot equals an earlier one or the time is over; resolves
 * to the last one. For what a machine undoes by itself, after its peer.
 */
export async function settled(
  node: Node,
  before: string,
  deadlineMs = 5000,
): Promise<string> {
  const end = performance.now() + deadline(deadlineMs);
  for (;;) {
    const now = await node.snapshot();
    if (now === before || performance.now() > end) return now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
