/** Runs the server's script as sshd would, with an `ip` of ours. */
import { type Pair, parsePair6, parsePairRequest } from "../../lib/pair.ts";
import { type RemoteFacts, RemoteReader } from "../../lib/remote.ts";
import {
  newToken,
  remoteCommand,
  type RemotePart,
  type RemoteScript,
} from "../../lib/remote_script.ts";
import { linesOf } from "../../lib/streams.ts";
import { children, until, withDir } from "./helpers.ts";
import { shells } from "./shells.ts";

const SCRIPT = {
  device: "device=${SSH_TUNNEL:-}",
  hold: "while read -r _; do :; done",
};
const PATH_LINE = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin";

/** What a server is like. */
export interface ServerOptions {
  /** What `ip` does: sh, with its words as `$*`. */
  readonly ip?: string;
  /** `$SSH_TUNNEL`; lo, which is everywhere, without. */
  readonly device?: string;
  readonly pairs?: readonly string[];
  /** The IPv6 pair, as in a state file. */
  readonly pair6?: string;
  readonly resume?: boolean;
  /** What a tunnel type brings, instead of what ssh-3 does. */
  readonly script?: Partial<RemoteScript>;
  readonly trace?: boolean;
  /** What the server does beside the tunnel. */
  readonly parts?: readonly RemotePart[];
  /** Changes the remote command, such as the paths in it. */
  readonly edit?: (command: string) => string;
  /** Whether PATH has an `ip`. */
  readonly hasIp?: boolean;
}

/** A session that runs. */
export interface Session {
  /** Reads until the facts, or the error, are there. */
  facts(): Promise<RemoteFacts>;
  /** Closes its input, and waits. */
  end(): Promise<void>;
  /** Closes its output before, as sshd does when the client has gone. */
  vanish(): Promise<void>;
  /** Signals the script itself, and waits. */
  kill(signal: Deno.Signal): Promise<void>;
  /** The words of each `ip` so far. */
  log(): string[];
  /** What stood in for sshd said of its end. */
  sshd(): string;
  /** Lines that were not the script's own, nor empty. */
  readonly other: string[];
  readonly dir: string;
}

/** What this process has open. */
function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // the folder itself
    }
  });
}

/** Lends a session that `shell` runs. */
export async function withSession(
  shell: string,
  options: ServerOptions,
  use: (session: Session) => Promise<void>,
): Promise<void> {
  await withDir(async (dir) => {
    // Of a batch, each line by itself; the first that fails ends it (ip(8)).
    const ip = `#!/bin/sh
words=$*
case $words in *" -batch -")
  while read -r line; do "$0" \${words%-batch -} $line || {
    status=$?; echo "Command failed -:1" >&2; exit $status; }
  done
  exit ;;
esac
echo "$*" >>${dir}/log
${options.ip ?? ""}\n`;
    await Deno.mkdir(`${dir}/bin`);
    if (options.hasIp ?? true) {
      await Deno.writeTextFile(`${dir}/bin/ip`, ip, { mode: 0o755 });
    }
    const script = { ...SCRIPT, ...options.script };
    const request = {
      token: newToken(),
      mtu: 1400,
      pair6: parsePair6(options.pair6 ?? ""),
      resume: options.resume ?? false,
      trace: options.trace ?? false,
      parts: options.parts ?? [],
      pairs: (options.pairs ?? ["10.1.0.1:10.1.0.2"])
        .map((text) => parsePairRequest(text) as Pair),
    };
    let command = remoteCommand(script, request)
      .replace("exec /bin/sh", () => `exec ${shell}`);
    command = options.edit?.(command) ?? command;
    if (options.hasIp === false) {
      command = command.replace(PATH_LINE, ":");
      await Deno.symlink("/usr/bin/printf", `${dir}/bin/printf`); // for mksh
    }
    // The script ends its parent, which is sshd there, and here is this.
    // The kernel calls it what its file is called.
    await Deno.symlink("/bin/sh", `${dir}/sshd-session`);
    const child = new Deno.Command(`${dir}/sshd-session`, {
      args: [
        "-c",
        `trap 'echo ended >>"$2"' TERM\n/bin/sh -c "$1"\necho "$?" >>"$2"`,
        ...["sshd", command, `${dir}/sshd`],
      ],
      clearEnv: true,
      env: {
        PATH: options.hasIp === false
          ? `${dir}/bin`
          : `${dir}/bin:/usr/bin:/bin`,
        SSH_TUNNEL: options.device ?? "lo",
      },
      cwd: dir,
      ...{ stdin: "piped", stdout: "null", stderr: "piped" },
    }).spawn();
    const text = (file: string) => {
      try {
        return Deno.readTextFileSync(`${dir}/${file}`);
      } catch {
        return "";
      }
    };
    const lines = linesOf(child.stderr);
    const reader = new RemoteReader(request, script);
    const other: string[] = [];
    let open = true;
    const end = async () => {
      if (open) await child.stdin.close().catch(() => {});
      open = false;
      for await (const line of lines) if (line !== "") other.push(line);
      await child.status;
    };
    try {
      await use({
        async facts() {
          while (true) {
            const { done, value } = await lines.next();
            if (done) throw new Error(`no facts: ${other}`);
            const read = reader.read(value);
            if (typeof read === "object") return read;
            if (!read && value !== "") other.push(value);
          }
        },
        end,
        async vanish() {
          const pipe = Deno.readLinkSync(`/proc/${child.pid}/fd/2`);
          await lines.return(undefined);
          // It is closed when the read that is under way lets go of it.
          await until(() => !openFiles().includes(pipe));
          await end();
        },
        async kill(signal) {
          const [pid = 0] = children(child.pid);
          // A shell that is just about to read may miss it until it has read.
          const stat = () => Deno.readTextFileSync(`/proc/${pid}/stat`);
          await until(() => stat().includes(") S "));
          Deno.kill(pid, signal);
          await until(() => text("sshd") !== "");
          await end();
        },
        log: () => text("log").split("\n").filter(Boolean),
        sshd: () => text("sshd"),
        ...{ other, dir },
      });
    } finally {
      await end();
    }
  });
}

/** A test that is run with each shell that is here. */
export function scriptTest(
  name: string,
  options: ServerOptions,
  use: (session: Session) => Promise<void>,
): void {
  for (const shell of shells) {
    Deno.test(`the server's script ${name} (${shell.replace(/^.*\/(?=.)/, "")})`, () =>
      withSession(shell, options, use));
  }
}

const SHOW = /^-4 -o (?:route show table all match|address show to) /;

/** The words of each `ip` that did not only look, without those of a batch. */
export function changes(session: Session): string[] {
  return session.log().filter((line) => !SHOW.test(line))
    .map((line) => line.replace(/^-4 -o /, "")).sort();
}
