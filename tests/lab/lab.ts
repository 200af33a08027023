/**
 * Machines to try a VPN on: namespaces of the kernel with a network between
 * them and a real sshd, made in well under a second and gone without a trace.
 * See topology.ts for addresses. Needs root.
 */
import { dirname, fromFileUrl } from "@std/path";
import { Node } from "./node.ts";
import { cleanLeftovers, makeFolder } from "./leftovers.ts";
import { makeKey, Sshd } from "./sshd.ts";
import { connect, type Nodes } from "./topology.ts";
import { pvpnBinary } from "./pvpn.ts";
import { addUser, homeOf } from "./user.ts";

export { ADDRESS } from "./topology.ts";
export { Node } from "./node.ts";
export type {
  ProcessInfo,
  RunOptions,
  RunResult,
  SpawnOptions,
} from "./node.ts";

/** How a lab may differ from the usual one. */
export interface LabOptions {
  /** Lines of the server's sshd_config; they win over the lab's. */
  sshdConfig?: readonly string[];
  /** Whether there is a jump host; yes unless told. */
  jump?: boolean;
  /** Whether users other than root may open /dev/net/tun, as usual on real machines. */
  openTun?: boolean;
  /** Whether the client's key is not root's but an ordinary user's: user.ts. */
  user?: boolean;
  /** Folders whose files its machines see, also if they are below /tmp. */
  keep?: readonly string[];
}

/** Labs to end when the process does. */
const live = new Set<Lab>();
globalThis.addEventListener("unload", () => {
  for (const lab of live) lab.abandon();
});

/** What nodes must see although their /tmp is their own. */
function keptBelowTmp(folders: readonly string[]): string[] {
  const all = [...folders, dirname(pvpnBinary())];
  const { protocol } = new URL(import.meta.url);
  if (protocol === "file:") { // of a repository, not from a registry
    all.push(dirname(dirname(dirname(fromFileUrl(import.meta.url)))));
  }
  const below = all.filter((path) => path.startsWith("/tmp/"));
  return [...new Set(below)].filter((path) =>
    !below.some((other) => path.startsWith(`${other}/`))
  );
}

/** The machines, and what has been started on them. */
export class Lab implements AsyncDisposable {
  /** The lab's folder on the host; also visible in the nodes. */
  readonly dir: string;
  #nodes: Nodes | undefined;
  #sshd: Sshd | undefined;
  #started: Node[] = [];

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Makes a lab; resolves when all its servers answer. */
  static async up(options: LabOptions = {}): Promise<Lab> {
    await cleanLeftovers();
    const lab = new Lab(makeFolder());
    live.add(lab);
    try {
      await lab.#start(options);
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async #start(options: LabOptions): Promise<void> {
    const { jump = true, openTun = false, sshdConfig = [], user } = options;
    const { dir } = this;
    const keep = keptBelowTmp([dir, ...options.keep ?? []]);
    const start = async (name: string) => {
      const node = await Node.start({
        name,
        dir: `${dir}/${name}`,
        keep,
        openTun,
      });
      this.#started.push(node);
      return node;
    };
    const keys = ["id", "server_key", ...(jump ? ["jump_key"] : [])];
    const [client, server, inet, jumpNode] = await all([
      start("client"),
      start("server"),
      start("inet"),
      jump ? start("jump") : undefined,
      all(keys.map((name) => makeKey(`${dir}/${name}`, `lab-${name}`))),
    ]);
    this.#nodes = { client, server, inet, ...(jumpNode && { jump: jumpNode }) };
    await connect(this.#nodes);
    await all([
      this.#login(user),
      this.#serve(inet),
      this.#startSshds(sshdConfig),
    ]);
  }

  async #startSshds(config: readonly string[]): Promise<void> {
    this.#sshd = new Sshd(this.server, `${this.dir}/server_key`);
    const jump = this.#nodes?.jump;
    await all([
      this.#sshd.start(config),
      jump && new Sshd(jump, `${this.dir}/jump_key`).start(),
    ]);
  }

  /** Gives the client a key that the servers accept, and theirs to know. */
  async #login(user = false): Promise<void> {
    const { dir, client } = this;
    if (user) await addUser(client);
    const home = user ? homeOf(client) : client.home;
    const read = (name: string) => Deno.readTextFile(`${dir}/${name}`);
    const ssh = `${home}/.ssh`;
    let known = `server,10.77.0.1,fd77::1 ${await read("server_key.pub")}`;
    const servers = [this.server];
    if (this.#nodes?.jump) {
      known += `jump,10.77.1.1 ${await read("jump_key.pub")}`;
      servers.push(this.#nodes.jump);
    }
    await all([
      Deno.writeTextFile(`${ssh}/config`, "StrictHostKeyChecking yes\n"),
      Deno.writeTextFile(`${ssh}/known_hosts`, known),
      Deno.writeTextFile(`${ssh}/id_ed25519`, await read("id"), {
        mode: 0o600,
      }),
      Deno.writeTextFile(`${ssh}/id_ed25519.pub`, await read("id.pub")),
      ...servers.map((server) =>
        Deno.copyFile(`${dir}/id.pub`, `${server.home}/.ssh/authorized_keys`)
      ),
    ]);
    if (user) await client.ok(["chown", "-R", `--reference=${home}`, ssh]);
  }

  /** Starts the servers of inet; only their network and pids are the node's. */
  async #serve(inet: Node): Promise<void> {
    const program = new URL("servers.ts", import.meta.url).href;
    const child = new Deno.Command("nsenter", {
      args: [
        ...[`--target=${inet.pid}`, "--net", "--pid", "--", Deno.execPath()],
        ...[
          "run",
          "--quiet",
          "--no-config",
          "--no-lock",
          "--allow-net",
          program,
        ],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
      detached: true,
    }).spawn();
    inet.own(child);
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    await reader.cancel();
    if (done) throw new Error("the servers of inet do not start");
  }

  #get(name: keyof Nodes): Node {
    const node = this.#nodes?.[name];
    if (!node) throw new Error(`this lab has no node ${name}`);
    return node;
  }

  /** The machine that pvpn runs on. */
  get client(): Node {
    return this.#get("client");
  }

  /** The machine with the sshd, in front of {@linkcode inet}. */
  get server(): Node {
    return this.#get("server");
  }

  /** The machine that only the server reaches. */
  get inet(): Node {
    return this.#get("inet");
  }

  /** A second sshd, with a cable to the client and one to the server. */
  get jump(): Node {
    return this.#get("jump");
  }

  /** What the server's sshd has logged. */
  sshdLog(): Promise<string> {
    return this.#sshd?.log() ?? Promise.resolve("");
  }

  /** How many logins the server has accepted so far. */
  async logins(): Promise<number> {
    return (await this.sshdLog()).split("Accepted publickey").length - 1;
  }

  /** Ends the server's sshd with all sessions, like a machine that goes away. */
  async stopSshd(): Promise<void> {
    await this.#sshd?.stop();
  }

  /** Starts the server's sshd again. */
  async startSshd(extraConfig: readonly string[] = []): Promise<void> {
    await this.#sshd?.start(extraConfig);
  }

  /** Ends the nodes at once, when there is no time to wait. */
  abandon(): void {
    for (const node of this.#started) node.abandon();
    Deno.removeSync(this.dir, { recursive: true });
  }

  /** Ends everything; nothing of the lab is left. */
  async down(): Promise<void> {
    if (!live.delete(this)) return;
    await Promise.all(this.#started.map((node) => node.stop()));
    await Deno.remove(this.dir, { recursive: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down();
  }
}

/** Promise.all that waits for all before it fails: a lab in parts can be ended. */
async function all<T extends readonly unknown[] | []>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}
