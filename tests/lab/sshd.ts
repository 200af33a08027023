/** A real sshd on a node of the lab, and the keys to log in. */
import type { Node } from "./node.ts";

/** Makes an ed25519 key pair at `path` and `path`.pub; resolves to the public one. */
export async function makeKey(path: string, comment: string): Promise<string> {
  const { success, stderr } = await new Deno.Command("ssh-keygen", {
    args: ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path],
    stdin: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return (await Deno.readTextFile(`${path}.pub`)).trim();
}

/**
 * The lines of a configuration; earlier ones win in sshd, but for MaxStartups,
 * of which the last does.
 */
function configuration(sshd: Sshd, extra: readonly string[]): string {
  // What follows a Match belongs to it, so such blocks come last.
  const match = extra.findIndex((line) => /^\s*match\b/i.test(line));
  const end = match < 0 ? extra.length : match;
  const startups = extra.some((line) => /^\s*maxstartups\b/i.test(line));
  return [
    ...extra.slice(0, end),
    `HostKey ${sshd.hostKey}`,
    `PidFile ${sshd.pidFile}`,
    "PermitRootLogin yes",
    "PermitTunnel yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "StrictModes no",
    "PrintMotd no",
    "PrintLastLog no",
    ...startups ? [] : ["MaxStartups 1000"],
    "MaxSessions 1000",
    "LogLevel VERBOSE",
    "Subsystem sftp internal-sftp",
    ...extra.slice(end),
    "",
  ].join("\n");
}

/** An sshd that can be stopped with all its sessions, and started again. */
export class Sshd {
  readonly hostKey: string;
  readonly pidFile: string;
  readonly #node: Node;
  readonly #dir: string;
  #listener: Deno.ChildProcess | undefined;

  /** Its files are in the node's folder on the host; the host key is there. */
  constructor(node: Node, hostKey: string) {
    this.#node = node;
    this.#dir = `${node.dir}/sshd`;
    this.hostKey = hostKey;
    this.pidFile = `${this.#dir}/pid`;
  }

  /**
   * Starts it, again if it runs; resolves when it listens. Extra lines win over
   * the lab's.
   */
  async start(extra: readonly string[] = []): Promise<void> {
    await this.stop();
    await Deno.mkdir(this.#dir, { recursive: true });
    await Deno.writeTextFile(
      `${this.#dir}/config`,
      configuration(this, extra),
    );
    const watcher = Deno.watchFs(this.#dir);
    const argv = ["/usr/sbin/sshd", "-D", "-f", `${this.#dir}/config`];
    const listener = this.#node.spawn([...argv, "-E", `${this.#dir}/log`], {
      stdout: "null",
      stderr: "null",
    });
    let starting = true;
    listener.status.then(() => starting && watcher.close());
    // The file is written when all sockets listen.
    for await (const { kind } of watcher) {
      if (kind === "remove" || !(await this.#listens())) continue;
      starting = false;
      this.#listener = this.#node.own(listener);
      return;
    }
    throw new Error(`sshd does not start: ${await this.log()}`);
  }

  async #listens(): Promise<boolean> {
    try {
      return /^\d+\n/.test(await Deno.readTextFile(this.pidFile));
    } catch {
      return false;
    }
  }

  /** Ends the listener and all sessions at once, as if the machine was gone. */
  async stop(): Promise<void> {
    if (!this.#listener) return;
    // Not those of machines inside of it, which have networks of their own.
    const script = 'for p in /proc/[0-9]*; do read -r c <"$p/comm" && ' +
      '[ "$p/ns/net" -ef /proc/self/ns/net ] && ' +
      'case $c in sshd*) kill -9 "${p#/proc/}"; found=1;; esac; done 2>/dev/null' +
      '; [ -z "${found-}" ]';
    while ((await this.#node.run(["sh", "-c", script])).code !== 0);
    await this.#listener.status;
    this.#listener = undefined;
    await Deno.remove(this.pidFile).catch(() => {});
  }

  /** What it has logged since the lab was made. */
  log(): Promise<string> {
    return Deno.readTextFile(`${this.#dir}/log`).catch(() => "");
  }
}
