/**
 * The process that keeps the namespaces of one node.
 *
 * It is the init of the node's pid namespace and reads from a pipe that only
 * this process can write to. So however the owner ends, `kill -9` included, the
 * pipe closes, the holder ends, and the kernel ends every process of the node
 * and frees its devices: nothing has a name that could be left behind.
 */

/** What {@linkcode Holder.start} is told about a node. */
export interface HolderOptions {
  /** The node's name, which becomes its host name. */
  name: string;
  /** The folder for the node's files; it exists. */
  dir: string;
  /** Folders below /tmp that stay visible there. */
  keep: readonly string[];
  /** Whether everybody may open /dev/net/tun. */
  openTun: boolean;
}

// Addresses and routes of IPv6 are there at once, and do not change by themselves.
const NETWORK = `
for conf in all default lo; do
  cd "/proc/sys/net/ipv6/conf/$conf"
  echo 0 >disable_ipv6; echo 0 >accept_dad; echo 0 >accept_ra; echo 0 >router_solicitations
done
cd /
ip link set lo up
echo ready
`.trim();

/** Private views of what a VPN changes; runs as the first process of the node. */
const SETUP = `
set -eu
umask 022
dir=$1 name=$2 open_tun=$3
shift 3
echo "$name" >/proc/sys/kernel/hostname
mkdir "$dir/etc" "$dir/home" "$dir/home/.ssh" "$dir/tmp"
mount -t tmpfs -o mode=755 lab "$dir/etc"
cp -a /etc/. "$dir/etc"
rm -rf "$dir/etc/ssh" "$dir/etc/resolv.conf" "$dir/etc/hosts" "$dir/etc/nsswitch.conf"
sed -i "s|^root:.*|root:x:0:0:root:$dir/home:/bin/sh|" "$dir/etc/passwd"
mkdir "$dir/etc/ssh"
chmod 700 "$dir/home" "$dir/home/.ssh"
mount --bind "$dir/etc" /etc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 lab /run
mount -t tmpfs -o mode=755 lab /var/log
mount -t tmpfs -o mode=1777 lab "$dir/tmp"
for keep; do
  mkdir -p "$dir/tmp/\${keep#/tmp/}"
  mount --bind "$keep" "$dir/tmp/\${keep#/tmp/}"
done
mount --rbind "$dir/tmp" /tmp
mkdir /run/sshd
if [ "$open_tun" = true ]; then
  mount -t tmpfs -o mode=755 lab /dev/net
  mknod -m 666 /dev/net/tun c 10 200
fi
${NETWORK}
exec env --ignore-signal=CHLD cat # so the kernel reaps orphans
`;

/** The same of a machine inside of a node. */
const SETUP_INSIDE = `
set -eu
umask 022
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 lab /run
mkdir /run/sshd
${NETWORK}
exec cat
`;

/**
 * What tells a process from a later one with its pid; undefined when it has
 * ended, even if nobody has reaped it.
 */
export function startTime(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The first child of a process, by its pid on the host. */
export function childOf(pid: number): number | undefined {
  try {
    const pids = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    const first = pids.split(" ")[0];
    return first ? Number(first) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a stream up to the first line; what was read is empty when it ended before. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return "";
    text += value;
  }
  await reader.cancel();
  return text;
}

/** The namespaces of one node, and the process that keeps them. */
export class Holder {
  /** The init of the node, by its pid on the host. */
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess, pid: number) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.pid = pid;
  }

  /** Makes the namespaces and waits until the node's file systems are in place. */
  static start(options: HolderOptions): Promise<Holder> {
    const { name, dir, keep, openTun } = options;
    return Holder.#hold(name, [
      ...["unshare", "--net", "--mount", "--pid", "--uts", "--fork"],
      ...["--kill-child", "--mount-proc", "sh", "-c", SETUP, "holder"],
      ...[dir, name, String(openTun), ...keep],
    ]);
  }

  /** Makes a network and a /run inside of a node; they end with it. */
  static inside(node: number, name: string): Promise<Holder> {
    return Holder.#hold(name, [
      ...["nsenter", `--target=${node}`, "--mount", "--uts", "--net", "--pid"],
      ...["--", "unshare", "--net", "--mount", "sh", "-c", SETUP_INSIDE],
    ]);
  }

  static async #hold(name: string, argv: readonly string[]): Promise<Holder> {
    const [program = "", ...args] = argv;
    const child = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true, // so that Ctrl-C reaches the tests only
    }).spawn();
    const ready = (await firstLine(child.stdout)) === "ready\n";
    const pid = childOf(child.pid);
    if (ready && pid) {
      await child.stderr.cancel();
      return new Holder(child, pid);
    }
    await child.stdin.close();
    const why = await new Response(child.stderr).text();
    await child.status;
    throw new Error(`cannot make the node ${name}: ${why.trim()}`);
  }

  /** Ends the node, all its processes too, without waiting. */
  kill(): void {
    try {
      Deno.kill(this.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }

  /** Ends the node; resolves when the last of its processes is gone. */
  async stop(): Promise<void> {
    this.kill();
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}
