/**
 * What stands between pvpn and all that it does, on both ends: it writes down
 * each step of a run, and holds the chosen one until it is told what is to
 * become of it.
 *
 * Steps are found by running: each program in PATH is shim.sh, which the
 * server's script gets as well; ssh is relay.pl, which sees each line that the
 * server says; and trace.pl sees what pvpn itself writes.
 */
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";

/** Where a step is taken. */
export type Side = "client" | "server" | "line" | "file";

/** A step of a run: the same one in the next run. */
export interface Step {
  /** By whom: a program here or there, a line of the server's, pvpn itself. */
  readonly side: Side;
  /** The program, the line's key, or the system call and the file. */
  readonly name: string;
  /** Which one of those, from 1. */
  readonly n: number;
}

/** `client ip 3`, as in the names of files, and on a command line. */
export function stepText({ side, name, n }: Step): string {
  return `${side} ${name} ${n}`;
}

/** Reads {@linkcode stepText}. */
export function parseStep(text: string): Step {
  const [, side, name = "", n] =
    /^(client|server|line|file) (\S+) (\d+)$/.exec(text) ?? [];
  if (side === undefined) throw new Error(`not a step: ${text}`);
  return { side: side as Side, name, n: Number(n) };
}

/** Where a node finds programs: those of tests/lab/node.ts. */
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

// Each is looked at again when it is killed: what pvpn has just forked is
// called pvpn, too, and a moment later is another program, such as a keeper,
// whose death would be another fault.
const KILL_SCRIPT = `
for comm in /proc/[0-9]*/comm; do
  pid=\${comm%/comm}
  read -r name 2>/dev/null <"$comm" || continue
  [ "$name" != "$1" ] || kill -KILL "\${pid##*/}" || [ ! -e "$comm" ] || exit
done
`;

/** The gate of a lab. */
export class Gate {
  readonly #dir: string;
  readonly #lab: Lab;

  private constructor(lab: Lab, dir: string) {
    this.#lab = lab;
    this.#dir = dir;
  }

  /** Makes it, and starts the lab's sshd again with it. */
  static async make(lab: Lab): Promise<Gate> {
    const dir = `${lab.dir}/gate`;
    const gate = new Gate(lab, dir);
    for (const name of ["", "/steps", "/client", "/server"]) {
      await Deno.mkdir(dir + name);
    }
    for (const name of ["shim.sh", "relay.pl", "trace.pl"]) {
      await Deno.copyFile(new URL(name, import.meta.url), `${dir}/${name}`);
      await Deno.chmod(`${dir}/${name}`, 0o755);
    }
    const programs = new Set(
      FOLDERS.flatMap((folder) =>
        [...Deno.readDirSync(folder)].map(({ name }) => name)
      ),
    );
    for (const name of programs) {
      await Deno.symlink("../shim.sh", `${dir}/client/${name}`);
      await Deno.symlink("../shim.sh", `${dir}/server/${name}`);
    }
    await lab.client.ok(["mkfifo", `${dir}/fired`, `${dir}/word`]);
    await lab.startSshd([`SetEnv PATH=${dir}/server`]);
    return gate;
  }

  /** The words that run pvpn; `traced`, where its own writes are steps. */
  argv(args: readonly string[], traced: boolean): [string, ...string[]] {
    const tracer = ["/usr/bin/perl", `${this.#dir}/trace.pl`, this.#dir];
    const path = `PATH=${this.#dir}/client`;
    const words = [...traced ? tracer : [], pvpnBinary(), ...args];
    return ["/usr/bin/env", path, ...words];
  }

  /** Writes steps down from now on, and holds the chosen one. */
  async arm(step?: Step): Promise<Held> {
    for await (const { name } of Deno.readDir(`${this.#dir}/steps`)) {
      await Deno.remove(`${this.#dir}/steps/${name}`);
    }
    const held = await Held.open(`${this.#dir}/fired`, `${this.#dir}/word`);
    // Renamed into place, so that it is read whole.
    await Deno.writeTextFile(
      `${this.#dir}/armed.new`,
      `${step === undefined ? "none" : stepText(step)}\n`,
    );
    await Deno.rename(`${this.#dir}/armed.new`, `${this.#dir}/armed`);
    return held;
  }

  /** Lets all pass again; resolves to the steps since then, in their order. */
  async disarm(): Promise<Step[]> {
    await Deno.remove(`${this.#dir}/armed`);
    const found: { at: number; step: Step }[] = [];
    for await (const { name } of Deno.readDir(`${this.#dir}/steps`)) {
      const { mtime } = await Deno.stat(`${this.#dir}/steps/${name}`);
      found.push({ at: mtime!.getTime(), step: parseStep(name) });
    }
    found.sort((a, b) => a.at - b.at || a.step.n - b.step.n);
    return found.map(({ step }) => step);
  }

  /** Kills processes of the client that are called so, with SIGKILL. */
  async kill(name: string): Promise<void> {
    await this.#lab.client.ok(["sh", "-c", KILL_SCRIPT, "kill", name]);
  }

  /** Whether packets of the client's go out beside a tunnel that has them. */
  async leaks(): Promise<boolean> {
    for (const address of [ADDRESS.public, ADDRESS.public6]) {
      const argv = ["ip", "route", "get", address];
      const { code, stdout } = await this.#lab.client.run(argv);
      if (code === 0 && / dev c\d /.test(stdout)) return true;
    }
    return false;
  }
}

/** A step that waits, or will. */
export class Held implements AsyncDisposable {
  readonly #path: string;
  readonly #input: Deno.FsFile;
  readonly #output: Deno.FsFile;
  /** Resolves when the step is taken, to true; to false when it never was. */
  readonly fired: Promise<boolean>;

  private constructor(path: string, input: Deno.FsFile, output: Deno.FsFile) {
    this.#path = path;
    this.#input = input;
    this.#output = output;
    const byte = new Uint8Array(1);
    this.fired = input.read(byte).then(() => byte[0] === 10);
  }

  /**
   * @param fired The pipe that is written to when the step is taken.
   * @param word The pipe that the step waits for then.
   */
  static async open(fired: string, word: string): Promise<Held> {
    // For both, so that nobody has to be at the other end yet.
    const both = { read: true, write: true };
    const [input, output] = [
      await Deno.open(fired, both),
      await Deno.open(word, both),
    ];
    return new Held(fired, input, output);
  }

  /** Tells the step what becomes of it. */
  async say(word: string): Promise<void> {
    await this.#output.write(new TextEncoder().encode(`${word}\n`));
  }

  /** Does not wait for it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    // By a file of its own: the other one is busy with its read.
    await Deno.writeTextFile(this.#path, "-");
    await this.fired;
    this.#input.close();
    this.#output.close();
  }
}
