/** An ordinary user of the client, who types sudo. */
import type { Lab } from "./lab.ts";
import type { Node, RunOptions, RunResult, SpawnOptions } from "./node.ts";
import { pvpnBinary } from "./pvpn.ts";

/** The user; the numbers are nobody's else. */
export const ALICE = { name: "alice", uid: 4242 } as const;

/** Her home folder, the same path on the host. */
export function homeOf({ dir }: Node): string {
  return `${dir}/${ALICE.name}`;
}

const ADD_USER = `
name=$1 id=$2 home=$3
echo "$name:x:$id:$id::$home:/bin/sh" >>/etc/passwd
echo "$name:x:$id:" >>/etc/group
# A member of one more group, for setpriv(1) to find.
sed -i "s/^audio:.*/&$name/" /etc/group
echo "$name:*:19000::::::" >>/etc/shadow
rm -rf /etc/sudoers.d/*
printf '127.0.1.1 %s\n' "$(uname -n)" >>/etc/hosts # sudo wants to know
echo "$name ALL=(ALL) NOPASSWD:SETENV: ALL" >/etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab
mkdir -m 700 -p "$home/.ssh"
chown -R "$id:$id" "$home"
`;

/** Adds her; sudo lets her do anything. */
export async function addUser(node: Node): Promise<void> {
  const { name, uid } = ALICE;
  const argv = ["sh", "-ec", ADD_USER, "sh", name, `${uid}`, homeOf(node)];
  await node.ok(argv);
}

/** The words in front of a command that she runs. */
export function asAlice(node: Node, argv: readonly string[]): string[] {
  const { name, uid } = ALICE;
  return [
    ...["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--init-groups"],
    ...["env", `HOME=${homeOf(node)}`, `USER=${name}`, `LOGNAME=${name}`],
    ...argv,
  ];
}

/** The words by which she runs pvpn; `words`: for sudo, before it. */
export function sudoArgv(
  args: readonly string[],
  words: readonly string[] = [],
): string[] {
  return ["sudo", "-n", ...words, pvpnBinary(), ...args];
}

/** Runs `sudo pvpn ARGS...` as she would. */
export function sudoPvpn(
  { client }: Lab,
  args: readonly string[],
  { words = [], ...options }: RunOptions & { words?: readonly string[] } = {},
): Promise<RunResult> {
  return client.run(asAlice(client, sudoArgv(args, words)), options);
}

/** Who a process is: the four user IDs, the groups, and the capabilities. */
export async function credentials(
  node: Node,
  pid: number,
): Promise<{ uids: string; groups: string; capabilities: string }> {
  const text = await Deno.readTextFile(`${node.root}/proc/${pid}/status`);
  const value = (key: string) =>
    new RegExp(`^${key}:\\s*(.*?)\\s*$`, "m").exec(text)?.[1] ?? "";
  return {
    uids: value("Uid").replaceAll("\t", " "),
    groups: value("Groups"),
    capabilities: ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(value).join(" "),
  };
}

/** A command of hers on a terminal of its own, which it is shown and typed on. */
export class Terminal {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  shown = "";

  /** Starts it; script(1) makes the terminal. */
  constructor(node: Node, argv: readonly string[], options: SpawnOptions = {}) {
    const quoted = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    const script = ["script", "-qefc", quoted.join(" "), "/dev/null"];
    this.#child = node.spawn(asAlice(node, script), {
      ...options,
      stdin: "piped",
      stderr: "null",
    });
    this.#writer = this.#child.stdin.getWriter();
    const decoder = new TextDecoderStream();
    this.#reader = this.#child.stdout.pipeThrough(decoder).getReader();
  }

  /** Waits until something is shown. */
  async find(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.shown)) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`not shown: ${pattern}: ${this.shown}`);
      this.shown += value;
    }
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(line + "\r"));
  }

  /** Waits for its end; resolves to the exit status. */
  async ended(): Promise<number> {
    for (let next; !(next = await this.#reader.read()).done;) {
      this.shown += next.value;
    }
    const { code } = await this.#child.status;
    await this.#writer.close().catch(() => {});
    return code;
  }
}
