/** A machine whose /etc/resolv.conf is swapped, in a folder. */
import { assert, assertEquals } from "@std/assert";
import { RESTORE_SCRIPT, SET_SCRIPT } from "../../lib/resolv_file.ts";
import { withDir } from "./helpers.ts";
import { shells } from "./shells.ts";

/** A machine's /etc and /run/pvpn, in a folder. */
export class Machine {
  constructor(readonly dir: string, readonly shell: string) {
    Deno.mkdirSync(`${dir}/etc`);
    Deno.mkdirSync(`${dir}/run/pvpn`, { recursive: true });
    Deno.mkdirSync(`${dir}/bin`);
    this.mount();
  }

  /** Says of some paths, and of no others, that they are mounts. */
  mount(...paths: string[]): void {
    const lines = paths.map((path) => `1 2 0:3 / ${path} rw - tmpfs none rw\n`);
    Deno.writeTextFileSync(`${this.dir}/mounts`, lines.join(""));
  }

  get conf(): string {
    return `${this.dir}/etc/resolv.conf`;
  }

  read(): string {
    return Deno.readTextFileSync(this.conf);
  }

  /** What lies in /etc: each name with its inode, mode, and content or target. */
  all(): string[] {
    return [...Deno.readDirSync(`${this.dir}/etc`)].map(({ name }) => {
      const path = `${this.dir}/etc/${name}`;
      const { ino, mode, isSymlink } = Deno.lstatSync(path);
      const what = isSymlink
        ? `-> ${Deno.readLinkSync(path)}`
        : Deno.readTextFileSync(path);
      return `${name} ${ino} ${mode} ${what}`;
    }).sort();
  }

  /** Runs a script; `env` may have it cut. */
  async run(
    script: string,
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<number> {
    const text = script.replaceAll(
      /(?<=[= <"])\/(?=etc\b|run\/)/g,
      `${this.dir}/`,
    ).replaceAll("/proc/self/mountinfo", `${this.dir}/mounts`);
    const rest = text.replaceAll(`${this.dir}/`, "");
    assert(!/\/(?:etc|run)\b/.test(rest), "it would change this machine");
    const [program = "", ...more] = this.shell.split(" ");
    const { code, stderr } = await new Deno.Command(program, {
      args: [...more, "-c", text, "pvpn", ...args],
      env: { PATH: `${this.dir}/bin:/usr/bin:/bin`, ...env },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stderr);
    if (Object.keys(env).length === 0) assertEquals(said, "");
    return code;
  }

  async set(device: string, lines = LINES, env = {}): Promise<number> {
    Deno.writeTextFileSync(`${this.dir}/run/pvpn/${device}.json`, "{}");
    return await this.run(SET_SCRIPT, [device, lines], env);
  }

  async restore(device: string): Promise<void> {
    assertEquals(await this.run(RESTORE_SCRIPT, [device]), 0);
    Deno.removeSync(`${this.dir}/run/pvpn/${device}.json`);
  }
}

export const LINES = "search a.test b.test\nnameserver 10.0.0.53";
export const ORIGINAL = "# Mine\nnameserver 192.168.1.1\n";

/** What a machine may have there, by what it is called. */
export const KINDS: Readonly<Record<string, (machine: Machine) => void>> = {
  file: ({ conf }) => Deno.writeTextFileSync(conf, ORIGINAL, { mode: 0o640 }),
  link({ conf, dir }) {
    Deno.writeTextFileSync(`${dir}/run/resolv.conf`, ORIGINAL);
    Deno.symlinkSync("../run/resolv.conf", conf);
  },
  "link to nowhere": ({ conf }) => Deno.symlinkSync("../run/none", conf),
  "empty file": ({ conf }) => Deno.writeTextFileSync(conf, ""),
  nothing() {},
};

export function fileTest(
  name: string,
  body: (machine: Machine) => Promise<void>,
  kinds = Object.keys(KINDS),
  with_: readonly string[] = shells,
): void {
  for (const kind of kinds) {
    for (const shell of with_) {
      const how = `${kind}, ${shell.replace(/^.*\/(?=.)/, "")}`;
      Deno.test(`resolv.conf ${name} (${how})`, () =>
        withDir(async (dir) => {
          const machine = new Machine(dir, shell);
          KINDS[kind]!(machine);
          await body(machine);
        }));
    }
  }
}
