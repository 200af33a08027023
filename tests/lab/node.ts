/** One machine of the lab. */
import { deadline } from "./deadline.ts";
import { Holder, type HolderOptions } from "./holder.ts";
import {
  finish,
  pidInside,
  type ProcessInfo,
  readProcesses,
  type RunOptions,
  type RunResult,
  signalThrough,
  type SpawnOptions,
} from "./process.ts";
import { HashCache, takeSnapshot } from "./snapshot.ts";

export type { ProcessInfo, RunOptions, RunResult, SpawnOptions };

const PATH =
  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" as const;

/** A machine of the lab: namespaces of its own, and ways to act inside them. */
export class Node {
  /** Its name, e.g. `client`; also its host name. */
  readonly name: string;
  /** The folder of its files on the host. */
  readonly dir: string;
  /** The home of its root; the same path on the host. */
  readonly home: string;
  /** What /tmp of the node shows of the host's, so no change of the node. */
  readonly kept: readonly string[];
  readonly #holder: Holder;
  readonly #own = new Set<number>();
  readonly #children: Deno.ChildProcess[] = [];
  /** Whether it is inside of another. */
  readonly #shared: boolean;
  readonly #inside: Node[] = [];
  readonly #hashes: HashCache;

  private constructor(options: HolderOptions, holder: Holder, parent?: Node) {
    this.name = options.name;
    this.dir = options.dir;
    this.home = parent?.home ?? `${options.dir}/home`;
    this.kept = options.keep;
    this.#holder = holder;
    this.#shared = parent !== undefined;
    this.#hashes = parent ? parent.#hashes : new Map();
  }

  /** Makes the namespaces; they hold a loopback device only. */
  static async start(options: HolderOptions): Promise<Node> {
    await Deno.mkdir(options.dir);
    return new Node(options, await Holder.start(options));
  }

  /**
   * Makes a machine inside of this one, cheaply: it has a network and a /run of
   * its own; files and users are those of this one, with which it ends at the
   * latest.
   */
  async inside(name: string): Promise<Node> {
    const dir = `${this.dir}/${name}`;
    await Deno.mkdir(dir);
    const options = { name, dir, keep: this.kept, openTun: false };
    const holder = await Holder.inside(this.pid, name);
    const node = new Node(options, holder, this);
    this.#inside.push(node);
    return node;
  }

  /** The process that keeps it, its init, by its pid on the host. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** The node's file system as the host sees it; beware of absolute links. */
  get root(): string {
    return `/proc/${this.pid}/root`;
  }

  /** Starts a command inside; its `kill` reaches the command, not nsenter. */
  spawn(
    argv: readonly string[],
    options: SpawnOptions = {},
  ): Deno.ChildProcess {
    const { cwd, env, stdin = "null", stdout = "piped", stderr = "piped" } =
      options;
    const child = new Deno.Command("nsenter", {
      args: [
        ...[`--target=${this.pid}`, "--mount", "--uts", "--net", "--pid"],
        ...(cwd === undefined ? ["--wd=/"] : [`--wdns=${cwd}`]),
        ...["--", ...argv],
      ],
      clearEnv: true,
      env: { PATH, HOME: this.home, TERM: "dumb", LANG: "C.UTF-8", ...env },
      detached: true, // no terminal: what asks for a password fails instead
      ...{ stdin, stdout, stderr },
    }).spawn();
    return signalThrough(child);
  }

  /** Runs a command inside; never throws because of how it ends. */
  run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { stdin, timeout = deadline(60_000), ...rest } = options;
    const input = stdin === undefined ? "null" : "piped";
    return finish(this.spawn(argv, { ...rest, stdin: input }), stdin, timeout);
  }

  /** Runs a command that must succeed; resolves to its standard output. */
  async ok(
    argv: readonly string[],
    options: RunOptions = {},
  ): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code === 0) return stdout;
    const why = stderr.trim() || stdout.trim();
    throw new Error(`${this.name}: ${argv.join(" ")}: exit ${code}: ${why}`);
  }

  /** The pid inside the node of what {@linkcode spawn} started, while it runs. */
  pidOf(child: Deno.ChildProcess): number {
    const pid = pidInside(child);
    if (pid === undefined) throw new Error(`${this.name}: it has ended`);
    return pid;
  }

  /** Signals a process by its pid inside the node; false if there is none. */
  async kill(pid: number, signal: Deno.Signal = "SIGTERM"): Promise<boolean> {
    const name = signal.slice(3);
    const argv = ["sh", "-c", 'kill -s "$0" "$1"', name, String(pid)];
    return (await this.run(argv)).code === 0;
  }

  /** Marks a command as the lab's: it is in no process list or snapshot. */
  own(child: Deno.ChildProcess): Deno.ChildProcess {
    this.#own.add(this.pidOf(child));
    this.#children.push(child);
    return child;
  }

  /** The processes inside, without the lab's own. */
  processes(): Promise<ProcessInfo[]> {
    const proc = `${this.root}/proc`;
    // What is inside of it, or beside it in another, has another network.
    const network = (pid: number) => linkTarget(`${proc}/${pid}/ns/net`);
    const shared = this.#shared || this.#inside.length > 0;
    const here = shared ? linkTarget(`/proc/${this.pid}/ns/net`) : undefined;
    return Promise.resolve(
      readProcesses(proc).filter(({ pid }) =>
        pid !== 1 && !this.#own.has(pid) && (!shared || network(pid) === here)
      ),
    );
  }

  /** Where a path of the node is on the host, with links followed inside it. */
  path(path: string, followLast = true): string {
    const rest = path.split("/").filter((part) => part && part !== ".");
    let at = this.root;
    for (let hops = 0; rest.length > 0 && hops < 200; hops++) {
      const part = rest.shift() as string;
      if (part === "..") {
        at = at === this.root ? at : at.slice(0, at.lastIndexOf("/"));
        continue;
      }
      const link = rest.length > 0 || followLast
        ? linkTarget(`${at}/${part}`)
        : undefined;
      if (link === undefined) at += `/${part}`;
      else {
        rest.unshift(...link.split("/").filter((p) => p && p !== "."));
        if (link.startsWith("/")) at = this.root;
      }
    }
    return at;
  }

  /** Writes a file inside the node, through links as a shell would. */
  writeFile(
    path: string,
    text: string,
    options: Deno.WriteFileOptions = {},
  ): Promise<void> {
    return Deno.writeTextFile(this.path(path), text, options);
  }

  /** Reads a file inside the node. */
  readFile(path: string): Promise<string> {
    return Deno.readTextFile(this.path(path));
  }

  /** Removes a file, link or folder inside the node, if it is there. */
  async remove(path: string): Promise<void> {
    try {
      await Deno.remove(this.path(path, false), { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** All that a VPN could leave behind, as text that compares. */
  snapshot(): Promise<string> {
    return takeSnapshot(this, this.#hashes);
  }

  /** Ends the node at once, without waiting; for the end of the process. */
  abandon(): void {
    this.#holder.kill();
  }

  /** Ends the node and all its processes. */
  async stop(): Promise<void> {
    await this.#holder.stop();
    await Promise.all(this.#inside.map((node) => node.stop()));
    // What entered it outlives it by a moment; a test must not.
    await Promise.all(this.#children.map(({ status }) => status));
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined;
  }
}
