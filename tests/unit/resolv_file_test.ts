/** The swap of /etc/resolv.conf and its way back, with real files. */
import { assert, assertEquals } from "@std/assert";
import { parseAddress } from "../../lib/address.ts";
import {
  formatResolvConf,
  RESTORE_LEFT_SCRIPT,
  RESTORE_SCRIPT,
  SET_SCRIPT,
} from "../../lib/resolv_file.ts";
import { system, withDir } from "./helpers.ts";
import { shells } from "./shells.ts";

/** A machine's /etc and /run/pvpn, in a folder. */
class Machine {
  constructor(readonly dir: string, readonly shell: string) {
    Deno.mkdirSync(`${dir}/etc`);
    Deno.mkdirSync(`${dir}/run/pvpn`, { recursive: true });
    Deno.mkdirSync(`${dir}/bin`);
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
    );
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

const LINES = "search a.test b.test\nnameserver 10.0.0.53";
const ORIGINAL = "# Mine\nnameserver 192.168.1.1\n";

/** What a machine may have there, by what it is called. */
const KINDS: Readonly<Record<string, (machine: Machine) => void>> = {
  file: ({ conf }) => Deno.writeTextFileSync(conf, ORIGINAL, { mode: 0o640 }),
  link({ conf, dir }) {
    Deno.writeTextFileSync(`${dir}/run/resolv.conf`, ORIGINAL);
    Deno.symlinkSync("../run/resolv.conf", conf);
  },
  "link to nowhere": ({ conf }) => Deno.symlinkSync("../run/none", conf),
  "empty file": ({ conf }) => Deno.writeTextFileSync(conf, ""),
  nothing() {},
};

function fileTest(
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

Deno.test("formatResolvConf() has a search line in any case", () => {
  const addresses = [parseAddress("10.0.0.53")!, parseAddress("fd00::53")!];
  assertEquals(
    formatResolvConf({ addresses, domains: ["a.test", "b.test"] }),
    "search a.test b.test\nnameserver 10.0.0.53\nnameserver fd00::53",
  );
  assertEquals(
    formatResolvConf({ addresses: addresses.slice(0, 1), domains: [] }),
    "search .\nnameserver 10.0.0.53",
  );
});

fileTest("is swapped, and the very same comes back", async (machine) => {
  const before = machine.all();
  assertEquals(await machine.set("tun0"), 0);
  const [head = "", ...lines] = machine.read().split("\n");
  assert(head.startsWith("# Made by pvpn for tun0 ("), head);
  assertEquals(lines.join("\n"), LINES + "\n");
  assertEquals(Deno.statSync(machine.conf).mode! & 0o777, 0o644);
  await machine.restore("tun0");
  assertEquals(machine.all(), before);
  await machine.run(RESTORE_SCRIPT, ["tun0"]); // once more
  assertEquals(machine.all(), before);
});

const ORDERS = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [
  2,
  1,
  0,
]];

for (const order of ORDERS) {
  fileTest(
    `comes back when three tunnels are stopped in the order ${order}`,
    async (machine) => {
      const before = machine.all();
      const lines = [0, 1, 2].map((n) => `nameserver 10.0.0.${n}`);
      for (const n of [0, 1, 2]) await machine.set(`tun${n}`, lines[n]);
      const up = new Set([0, 1, 2]);
      for (const n of order) {
        await machine.restore(`tun${n}`);
        up.delete(n);
        const top = Math.max(...up);
        if (up.size > 0) assert(machine.read().includes(lines[top]!), `${n}`);
      }
      assertEquals(machine.all(), before);
    },
    ["file", "link", "nothing"],
    shells.slice(0, 1),
  );
}

fileTest("is updated where it is", async (machine) => {
  const before = machine.all();
  await machine.set("tun0");
  await machine.set("tun1", "nameserver 10.0.1.53");
  await machine.set("tun0", "nameserver 10.0.0.54");
  assert(machine.read().includes("10.0.1.53"));
  await machine.set("tun1", "nameserver 10.0.1.54");
  assert(machine.read().includes("10.0.1.54"));
  await machine.restore("tun1");
  assert(machine.read().endsWith("\nnameserver 10.0.0.54\n"));
  await machine.restore("tun0");
  assertEquals(machine.all(), before);
});

const THEIRS = "# dhclient\nnameserver 192.168.2.1\n";

fileTest("stays as somebody else has made it meanwhile", async (machine) => {
  for (
    const change of [
      () => {
        Deno.writeTextFileSync(`${machine.conf}.theirs`, THEIRS);
        Deno.renameSync(`${machine.conf}.theirs`, machine.conf);
      },
      () => Deno.writeTextFileSync(machine.conf, THEIRS),
      () =>
        Deno.writeTextFileSync(machine.conf, "options x\n", { append: true }),
      () => {
        const text = machine.read().replace("10.0.0.53", "10.0.0.35");
        Deno.writeTextFileSync(machine.conf, text);
      },
      () => Deno.removeSync(machine.conf),
    ]
  ) {
    await machine.set("tun0");
    change();
    const theirs = machine.all().filter((line) =>
      line.startsWith("resolv.conf ")
    );
    await machine.restore("tun0");
    // Where they have removed it, what was there first is not theirs to miss.
    if (theirs.length > 0) assertEquals(machine.all(), theirs);
    else assert(machine.all().length <= 1);
  }
}, ["file", "link"]);

fileTest("is set again over what somebody has made of it", async (machine) => {
  await machine.set("tun0");
  Deno.writeTextFileSync(machine.conf, THEIRS);
  const theirs = machine.all().filter((line) =>
    line.startsWith("resolv.conf ")
  );
  await machine.set("tun0");
  assert(machine.read().includes("10.0.0.53"));
  await machine.restore("tun0");
  assertEquals(machine.all(), theirs);
}, ["file", "link"]);

fileTest("comes back after the power was lost", async (machine) => {
  const before = machine.all();
  await machine.set("tun0");
  await machine.set("tun1");
  const lose = () => {
    for (const n of [0, 1]) {
      Deno.removeSync(`${machine.dir}/run/pvpn/tun${n}.json`);
    }
  };
  lose();
  // The next tunnel finds it, under the same name or another.
  await machine.set("tun1");
  await machine.restore("tun1");
  assertEquals(machine.all(), before);
  await machine.set("tun0");
  await machine.set("tun1");
  lose();
  assertEquals(await machine.run(RESTORE_LEFT_SCRIPT, []), 0);
  assertEquals(machine.all(), before);
});

/** Programs that do their work, or kill the shell before or after it. */
async function fragile(machine: Machine): Promise<void> {
  for (const name of ["ln", "mv", "rm", "cat", "cksum", "cp"]) {
    const real = (await system.query(["sh", "-c", `command -v ${name}`]))
      .stdout.trim();
    // As a background job of a job, nobody but init is its parent.
    const text = `#!/bin/bash
echo x >>"$COUNT"
n=$(wc -l <"$COUNT")
[ "$n:$WHEN" != "$CUT:before" ] || { kill -9 "$SHELL_PID"; exit; }
${real} "$@"
code=$?
[ "$n:$WHEN" != "$CUT:after" ] || kill -9 "$SHELL_PID"
exit $code
`;
    await Deno.writeTextFile(`${machine.dir}/bin/${name}`, text, {
      mode: 0o755,
    });
  }
}

for (const when of ["before", "after"]) {
  for (const broken of ["", "ln", "ln mv"]) {
    fileTest(
      `comes back when the swap is cut ${when} any program` +
        (broken && `, without ${broken}`),
      async (machine) => {
        const before = machine.all();
        const names = machine.all().length;
        let cut = 1;
        for (; cut < 50; cut++) {
          await fragile(machine);
          for (const name of broken.split(" ").filter(Boolean)) {
            // As over a mount, and on a file system without links.
            const path = `${machine.dir}/bin/${name}`;
            const text = (await Deno.readTextFile(path)).replace(
              "code=$?",
              "code=1",
            ).replace(
              /^\/.* "\$@"$/m,
              "case $* in *new-*) " +
                (name === "mv" ? "" : `exec /bin/${name} "$@"`) + ";; esac",
            );
            await Deno.writeTextFile(path, text);
          }
          const count = `${machine.dir}/count`;
          await Deno.writeTextFile(count, "");
          const script = `export SHELL_PID=$$\n${SET_SCRIPT}`;
          Deno.writeTextFileSync(`${machine.dir}/run/pvpn/tun0.json`, "{}");
          const env = { COUNT: count, CUT: `${cut}`, WHEN: when };
          const code = await machine.run(script, ["tun0", LINES], env);
          for (const { name } of Deno.readDirSync(`${machine.dir}/bin`)) {
            Deno.removeSync(`${machine.dir}/bin/${name}`);
          }
          // A subshell that was killed may still run a program; it is short.
          await machine.restore("tun0");
          if (broken === "ln mv") {
            assertEquals(machine.all().length, names);
            assertEquals(
              machine.all()[0]?.split(" ").slice(3),
              before[0]?.split(" ").slice(3),
            );
          } else assertEquals(machine.all(), before, `cut ${cut}`);
          if (code === 0) break;
        }
        assert(cut > 3 && cut < 50, `${cut}`);
      },
      broken === "ln mv" ? ["file"] : Object.keys(KINDS),
      shells.slice(0, 1),
    );
  }
}
