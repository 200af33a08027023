/** The swap of /etc/resolv.conf, cut before and after each program it runs. */
import { assert, assertEquals } from "@std/assert";
import { RESTORE_SCRIPT, SET_SCRIPT } from "../../lib/resolv_file.ts";
import { system } from "./helpers.ts";
import { fileTest, KINDS, LINES, type Machine } from "./resolv_file_machine.ts";
import { shells } from "./shells.ts";

/** Programs that do their work, or kill the shell before or after it. */
async function fragile(machine: Machine): Promise<void> {
  for (const name of ["ln", "mv", "rm", "cat", "cksum", "cp"]) {
    const real = (await system.query(["sh", "-c", `command -v ${name}`]))
      .stdout.trim();
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
        if (broken === "ln mv") machine.mount(machine.conf);
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

fileTest(
  "comes back at the second try when any program fails at the first",
  async (machine) => {
    const before = machine.all();
    let failed = 1;
    for (; failed < 50; failed++) {
      await machine.set("tun0");
      for (const name of ["mv", "rm", "cat", "cksum"]) {
        const text = `#!/bin/sh
echo x >>"$COUNT"
[ "$(wc -l <"$COUNT")" != "$FAILED" ] || exit 1
exec /usr/bin/${name} "$@"
`;
        const path = `${machine.dir}/bin/${name}`;
        await Deno.writeTextFile(path, text, { mode: 0o755 });
      }
      const count = `${machine.dir}/count`;
      await Deno.writeTextFile(count, "");
      const env = { COUNT: count, FAILED: `${failed}` };
      const code = await machine.run(RESTORE_SCRIPT, ["tun0"], env);
      const { length } = (await Deno.readTextFile(count)).split("\n");
      await Deno.remove(`${machine.dir}/bin`, { recursive: true });
      await Deno.mkdir(`${machine.dir}/bin`);
      if (code !== 0) await machine.restore("tun0");
      assertEquals(machine.all(), before, `program ${failed}`);
      if (length <= failed) break;
    }
    assert(failed > 3 && failed < 50, `${failed}`);
  },
);
