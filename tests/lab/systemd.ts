/**
 * systemd as the first process of a lab's client: as in a container, with
 * processes, mounts and control groups of its own, and the node's network.
 */
import { basename, fromFileUrl } from "@std/path";
import { deadline } from "./deadline.ts";
import { childOf } from "./holder.ts";
import type { Lab } from "./lab.ts";
import type { RunResult } from "./node.ts";
import { finish } from "./process.ts";
import { pvpnBinary } from "./pvpn.ts";
import { homeOf } from "./user.ts";

const CONTRIB = fromFileUrl(new URL("../../contrib/systemd", import.meta.url));
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What a machine has in places that units hide or protect: the program, and
// homes. Nothing of the distribution's own is started beside pvpn.
const SETUP = `
name=$1 binary=$2 contrib=$3 home=$4 alice=$5 log=$6
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$name"
echo 0 >"/sys/fs/cgroup/$name/cgroup.procs"
mount -t tmpfs -o mode=755 lab /usr/local/bin
: >/usr/local/bin/pvpn
mount --bind "$binary" /usr/local/bin/pvpn
mount -t tmpfs -o mode=700 lab /root
mount -t tmpfs -o mode=755 lab /home
cp -a "$alice/." /root
chown -R 0:0 /root
cp -a "$alice" /home
sed -i "s|:$home:|:/root:|; s|:$alice:|:/home/alice:|" /etc/passwd
for wants in /usr/lib/systemd/system/*.target.wants \
  /usr/lib/systemd/system-generators; do
  mount -t tmpfs lab "$wants"
done
: >/etc/fstab
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
rm -rf /etc/systemd/system /etc/pvpn
mkdir -m 755 -p /etc/systemd/system/pvpn@.service.d /etc/pvpn
cp "$contrib"/*.service /etc/systemd/system
printf '[Service]\\nStandardError=append:%s\\n' "$log" \
  >/etc/systemd/system/pvpn@.service.d/lab.conf
# What systemd makes with the first unit that has mounts of its own.
mkdir -p /run/systemd
(cd /run/systemd && mkdir -m 755 incoming && mkdir -m 600 propagate &&
  mkdir -m 700 unit-root)
printf '[Unit]\\nDefaultDependencies=no\\n' >/etc/systemd/system/lab.target
exec unshare --cgroup sh -euc '
  umount /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  exec env -i container=lab "PATH=$0" /usr/lib/systemd/systemd \
    --unit=lab.target --log-level=warning --log-target=console' "$7"
`;

/** What a test of systemd lacks on this machine, if it lacks something. */
export function lacksSystemd(): string | undefined {
  if (Deno.uid() !== 0) return "needs root";
  try {
    Deno.statSync("/usr/lib/systemd/systemd");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "needs systemd";
  }
}

/** A systemd that has booted. */
export class Systemd implements AsyncDisposable {
  readonly #lab: Lab;
  readonly #unshare: Deno.ChildProcess;
  readonly #pid: number;

  private constructor(lab: Lab, unshare: Deno.ChildProcess, pid: number) {
    this.#lab = lab;
    this.#unshare = unshare;
    this.#pid = pid;
  }

  /** Starts it on the client of a lab with a user; resolves when it answers. */
  static async boot(lab: Lab): Promise<Systemd> {
    const { client, dir } = lab;
    const unshare = client.spawn([
      ...["unshare", "--mount", "--pid", "--fork", "--kill-child"],
      ...["--mount-proc", "sh", "-euc", SETUP, "sh", basename(dir)],
      ...[pvpnBinary(), CONTRIB, client.home, homeOf(client), Systemd.log(lab)],
      PATH,
    ], { stdout: "null", stderr: "null" });
    const end = performance.now() + deadline(20_000);
    while (true) {
      // nsenter runs unshare, which runs what becomes systemd.
      const pid = childOf(childOf(unshare.pid) ?? -1);
      const here = pid && new Systemd(lab, unshare, pid);
      if (
        here &&
        (await here.run(["systemctl", "is-active", "lab.target"])).code === 0
      ) {
        return here;
      }
      if (performance.now() > end) throw new Error("systemd does not boot");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Where what pvpn says is written. */
  static log({ dir }: Lab): string {
    return `${dir}/pvpn.log`;
  }

  /** Runs a command beside it. */
  run(argv: readonly string[]): Promise<RunResult> {
    const child = new Deno.Command("nsenter", {
      args: [
        ...[`--target=${this.#pid}`, "--mount", "--pid", "--net", "--uts"],
        ...["--cgroup", "--wd=/", "--", ...argv],
      ],
      clearEnv: true,
      env: { PATH, HOME: "/root", LANG: "C.UTF-8", TERM: "dumb" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return finish(child, undefined, deadline(60_000));
  }

  /** Runs a command that must succeed. */
  async ok(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv);
    if (code === 0) return stdout;
    const log = await Deno.readTextFile(Systemd.log(this.#lab)).catch(() => "");
    throw new Error(
      `${argv.join(" ")}: exit ${code}: ${stderr}${stdout}${log}`,
    );
  }

  /** A property of a unit. */
  async show(unit: string, property: string): Promise<string> {
    const argv = ["systemctl", "show", "-P", property, unit];
    return (await this.ok(...argv)).trim();
  }

  /** Waits until a property of a unit is what it should be. */
  async until(unit: string, property: string, pattern: RegExp): Promise<void> {
    const end = performance.now() + deadline(20_000);
    for (let value; !pattern.test(value = await this.show(unit, property));) {
      if (performance.now() > end) {
        throw new Error(`${unit}: ${property} is "${value}", not ${pattern}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends it, with all that it has started. */
  async [Symbol.asyncDispose](): Promise<void> {
    Deno.kill(this.#pid, "SIGKILL");
    await this.#unshare.status;
    // Its control groups, which outlive it.
    const script = 'mount -t cgroup2 lab /mnt; cd "/mnt/$0"; ' +
      'find . -depth -mindepth 1 -type d -exec rmdir {} +; cd /; rmdir "/mnt/$0"';
    const argv = ["unshare", "--mount", "sh", "-euc", script];
    await this.#lab.client.ok([...argv, basename(this.#lab.dir)]);
  }
}
