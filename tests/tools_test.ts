/** Tests of what make installs and removes, of make deps and make test. */
import { assertEquals, assertMatch } from "@std/assert";
import { counts } from "../tools/test.ts";
import { type Feature, plan, testFiles } from "../tools/test_plan.ts";
import {
  copyTree,
  onlyCommands,
  ROOT,
  run,
  script,
  SHELL,
  withDir,
} from "./tools_tree.ts";

Deno.test("make install honours DESTDIR and what config.mk says", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    // -o: the stand-in counts as built.
    const make = (target: string, ...variables: string[]) =>
      run(["make", "-o", "pvpn", target, `DESTDIR=${dir}/dest`, ...variables], {
        cwd: dir,
      });
    const FILES: Record<string, string> = {
      "bin/pvpn": "pvpn",
      "share/man/man8/pvpn.8": "man/pvpn.8",
      "share/bash-completion/completions/pvpn": "contrib/completions/pvpn.bash",
      "share/zsh/site-functions/_pvpn": "contrib/completions/_pvpn",
      "share/fish/vendor_completions.d/pvpn.fish":
        "contrib/completions/pvpn.fish",
      "lib/systemd/system/pvpn@.service": "contrib/systemd/pvpn@.service",
      "lib/systemd/system/pvpn-recover.service":
        "contrib/systemd/pvpn-recover.service",
    };
    const cases: [string[], (path: string) => string][] = [
      [[], (path) => `usr/local/${path}`],
      [["PREFIX=/opt/x"], (path) => `opt/x/${path}`],
      [
        ["PREFIX=/usr", "MANPREFIX=/m", "ZSHCOMPDIR=/z"],
        (path) =>
          `usr/${path}`.replace("usr/share/man", "m")
            .replace("usr/share/zsh/site-functions", "z"),
      ],
    ];
    for (const [variables, at] of cases) {
      const installed = await make("install", ...variables);
      assertEquals(installed.code, 0, installed.all);
      const found = await run(["find", "dest", "-type", "f"], { cwd: dir });
      const paths = Object.keys(FILES).map((path) => `dest/${at(path)}`);
      assertEquals([...found.lines].sort(), paths.sort());
      for (const [path, source] of Object.entries(FILES)) {
        const file = `${dir}/dest/${at(path)}`;
        const text = await Deno.readTextFile(file);
        assertEquals(text, `stand-in for ${source}\n`);
        const { mode } = await Deno.stat(file);
        assertEquals(mode! & 0o777, source === "pvpn" ? 0o755 : 0o644);
      }
      const removed = await make("uninstall", ...variables);
      assertEquals(removed.code, 0, removed.all);
      const left = await run(["find", `${dir}/dest`, "-type", "f"]);
      assertEquals(left.all, "");
    }
  }));

Deno.test("make install tells systemd where pvpn is", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    const units = `${ROOT}contrib/systemd`;
    await run(["cp", "-R", units, `${dir}/contrib`]);
    const argv = ["make", "install-data", `DESTDIR=${dir}/d`, "PREFIX=/opt/x"];
    const { code, all } = await run(argv, { cwd: dir });
    assertEquals(code, 0, all);
    for (const name of ["pvpn@.service", "pvpn-recover.service"]) {
      const text = await Deno.readTextFile(`${units}/${name}`);
      assertEquals(
        await Deno.readTextFile(`${dir}/d/opt/x/lib/systemd/system/${name}`),
        text.replace(/^(Exec\w+=-?)pvpn/gm, "$1/opt/x/bin/pvpn"),
      );
      assertMatch(text, /^ExecStart=pvpn /m);
    }
  }));

Deno.test("make clean removes what make made, and nothing else", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    const before = await run(["find", ".", "!", "-name", "pvpn"], { cwd: dir });
    for (const made of ["vendor/x", "dist", "tools/offline/node_modules/x"]) {
      await Deno.mkdir(`${dir}/${made}`, { recursive: true });
    }
    const { code, all } = await run(["make", "clean"], { cwd: dir });
    assertEquals(code, 0, all);
    const after = await run(["find", "."], { cwd: dir });
    assertEquals([...after.lines].sort(), [...before.lines].sort());
  }));

Deno.test("make deps names what is missing, where it cannot install it", () =>
  withDir(async (dir) => {
    const PATH = await onlyCommands(`${dir}/bin`, ...SHELL);
    // Hides what this machine has: deps looks into the sbin directories too.
    const text = await Deno.readTextFile(`${ROOT}tools/deps`);
    await script(`${dir}/deps`, text.replace(/^PATH=.*$/m, ""));
    const { code, all } = await run([`${dir}/deps`], { env: { PATH } });
    assertEquals(code, 1, all);
    assertMatch(all, /^deps: missing: .*openssh-client openssh-server/);
    assertMatch(all, /Debian's names/);
  }));

Deno.test("make deps installs packages without starting their services", () =>
  withDir(async (dir) => {
    const bin = await onlyCommands(`${dir}/bin`, ...SHELL, "chmod");
    const policy = `${dir}/policy-rc.d`;
    await script(`${bin}/id`.replace("/bin/id", "/root/id"), "echo 0");
    await script(
      `${dir}/root/apt-get`,
      `echo "$@" >>"${dir}/log"; "${policy}"; echo "policy $?" >>"${dir}/log"`,
    );
    await script(`${dir}/root/systemctl`, `echo "$@" >>"${dir}/log"`);
    const text = (await Deno.readTextFile(`${ROOT}tools/deps`))
      .replace(/^PATH=.*$/m, "").replace("/usr/sbin/policy-rc.d", policy);
    await script(`${dir}/tools/deps`, text);
    await script(`${dir}/tools/with-deno`, "echo own");
    const { code, all } = await run([`${dir}/tools/deps`], {
      env: { PATH: `${dir}/root:${bin}` },
    });
    assertEquals(code, 0, all);
    const log = await Deno.readTextFile(`${dir}/log`);
    assertMatch(log, /^update\npolicy 101\ninstall .* openssh-server .*\n/);
    assertMatch(log, /policy 101\ndisable ssh\.service ssh\.socket\n$/);
    await Deno.stat(policy).then(
      () => {
        throw new Error("policy-rc.d is left behind");
      },
      () => {},
    );
  }));

Deno.test("tools/deps vm, docs and bench do not fail for want of what it cannot install", () =>
  withDir(async (dir) => {
    const PATH = await onlyCommands(`${dir}/bin`, ...SHELL);
    const text = await Deno.readTextFile(`${ROOT}tools/deps`);
    await script(`${dir}/deps`, text.replace(/^PATH=.*$/m, ""));
    const cases = {
      vm: /qemu-system-x86\b/,
      docs: /\bfish git lintian\b/,
      bench: /\biperf3 sshuttle\b/,
    };
    for (const [what, names] of Object.entries(cases)) {
      const { code, all } = await run([`${dir}/deps`, what], { env: { PATH } });
      assertEquals(code, 0, all);
      assertMatch(all, new RegExp(`^deps: missing: .*${names.source}`));
      assertMatch(all, /going on without them\n$/);
    }
  }));

Deno.test("make test plans a virtual machine for what this kernel lacks", async () => {
  const files = [
    "tests/unit/ppp_test.ts",
    "tests/e2e/connect_test.ts",
    "/x/tests/e2e/ppp_pair_test.ts",
    "./tests/vm/netem_test.ts",
  ] as const;
  const [unit, connect, ppp, vm] = files;
  const asked: Feature[] = [];
  const planned = (features: readonly Feature[], twice: boolean) =>
    plan(files, {
      twice,
      has: (feature) => {
        asked.push(feature);
        return Promise.resolve(features.includes(feature));
      },
    });
  assertEquals(await planned([], false), {
    here: [unit, connect],
    virtual: [ppp, vm],
  });
  assertEquals(asked.sort(), ["netem", "ppp", "wireguard"]);
  assertEquals(await planned(["ppp", "netem"], true), {
    here: [unit, connect, ppp],
    virtual: [connect, vm],
  });
  assertEquals(await planned(["ppp", "netem", "wireguard"], false), {
    here: [unit, connect, ppp, vm],
    virtual: [],
  });
});

Deno.test("make test finds the files that deno test would", () =>
  withDir(async (dir) => {
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    for (
      const name of ["a/b/x_test.ts", "a/test.js", "a/x.test.ts", "a/x.ts"]
    ) {
      await Deno.writeTextFile(`${dir}/${name}`, "");
    }
    assertEquals(
      await testFiles([dir, "none.ts", `${dir}/a/x.test.ts`]),
      [
        `${dir}/a/b/x_test.ts`,
        `${dir}/a/test.js`,
        `${dir}/a/x.test.ts`,
        "none.ts",
      ].sort(),
    );
  }));

Deno.test("make test counts as skipped what has no virtual machine", () =>
  withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/x_test.ts`, `Deno.test("x", () => {});`);
    await Deno.mkdir(`${dir}/kernel-1/lib/modules/none`, { recursive: true });
    const { code, all, lines } = await run([
      ...[Deno.execPath(), "run", "-A", "tools/test.ts", "--vm"],
      `${dir}/x_test.ts`,
    ], { env: { VM_CACHE: dir } });
    assertEquals(lines.at(-1), "0 passed, 0 failed, 1 skipped", all);
    assertMatch(all, /x_test\.ts is skipped: vm: /);
    assertEquals(code, 1, "no test ran");
  }));

Deno.test("make test reads the counts of deno test's closing line", () => {
  const read = (line: string) => counts(`ok | 9 passed | 0 failed\n${line}\n`);
  assertEquals(
    read("FAILED | 2 passed (3 steps) | 4 failed (1 step) | 1 ignored (83ms)"),
    { passed: 2, failed: 4, skipped: 1 },
  );
  assertEquals(
    read("ok | 12 passed (3 steps) | 0 failed | 1 ignored (2 steps) (1m2s)"),
    { passed: 12, failed: 0, skipped: 3 },
  );
  assertEquals(
    read(
      "\x1b[0m\x1b[32mok\x1b[0m | 1 passed | 0 failed | 6 filtered out (6ms)",
    ),
    { passed: 1, failed: 0, skipped: 0 },
  );
  assertEquals(read("killed"), undefined);
});

Deno.test("make test ends with the counts, and fails if it should", () =>
  withDir(async (dir) => {
    const files: Record<string, string> = {
      good: `Deno.test("good", () => {});`,
      bad: `Deno.test("bad", () => { throw new Error("bad"); });`,
      skipped: `Deno.test.ignore("skipped", () => {});`,
      broken: `throw new Error("broken");`,
      untyped: `const n: number = "untyped"; Deno.test(\`\${n}\`, () => {});`,
      crash: `Deno.test("crash", () => { Deno.kill(Deno.pid, "SIGKILL"); });`,
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${dir}/${name}_test.ts`, text);
    }
    const named = (of: readonly string[]) =>
      of.filter((line) => /^failed: /.test(line))
        .map((line) => line.replace(/ => .*\//, " in "));
    const cases: [string[], Record<string, string>, number, string][] = [
      [["good"], {}, 0, "1 passed, 0 failed, 0 skipped"],
      [["good", "skipped"], {}, 0, "1 passed, 0 failed, 1 skipped"],
      [["good", "skipped"], { CI: "true" }, 1, "1 passed, 0 failed, 1 skipped"],
      [["good", "bad"], {}, 1, "1 passed, 1 failed, 0 skipped"],
      [["good", "bad"], { FILTER: "good" }, 0, "1 passed, 0 failed, 0 skipped"],
      [["good"], { FILTER: "none" }, 1, "0 passed, 0 failed, 0 skipped"],
      [["skipped"], {}, 1, "0 passed, 0 failed, 1 skipped"],
      [["good", "broken"], {}, 1, "1 passed, 1 failed, 0 skipped"],
      [["good", "untyped"], {}, 1, "0 passed, 1 failed, 0 skipped"],
      [["good", "crash"], {}, 1, "0 passed, 1 failed, 0 skipped"],
    ];
    for (const [names, env, code, last] of cases) {
      const outcome = await run([
        Deno.execPath(),
        "run",
        "-A",
        "tools/test.ts",
        ...names.map((name) => `${dir}/${name}_test.ts`),
      ], { env });
      assertEquals(outcome.lines.at(-1), last, outcome.all);
      assertEquals(outcome.code, code, outcome.all);
      const bad = ["failed: bad in bad_test.ts:1:6"];
      if (names.includes("bad") && !("FILTER" in env)) {
        assertEquals(named(outcome.lines.slice(-2)), bad);
        // Why, just before: behind all that was printed while it ran.
        const [, ...why] = outcome.lines.slice(-12).join("\n").split("Error: ");
        assertEquals(why.map((text) => text.split("\n")[0]), ["bad"]);
      } else if (/ 0 failed/.test(last)) {
        assertEquals(named(outcome.lines), []);
      } else assertEquals(named(outcome.lines).length, 1, outcome.all);
    }
  }));
