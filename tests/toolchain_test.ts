/** Tests of where Deno comes from: `tools/with-deno`, tools/offline/, releases. */
import { assertEquals, assertMatch } from "@std/assert";
import {
  copyTree,
  onlyCommands,
  run,
  script,
  SHELL,
  withDir,
} from "./tools_tree.ts";

Deno.test("make release refuses a denort that is not Deno's own", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    const fake = `${dir}/tools/offline/node_modules/@deno/linux-x64-glibc/deno`;
    await script(fake, "echo deno 2.7.11");
    const PATH = await onlyCommands(`${dir}/bin`, ...SHELL);
    const env = { PATH, HOME: dir };
    const cases: [Record<string, string>, RegExp][] = [
      [{ DENORT_BIN: "/x/denort" }, /Deno's own denort.*: unset DENORT_BIN/],
      [{}, /no Deno 2\.7 or later in PATH .*: install Deno/],
      [{ PATH: `${fake.slice(0, -5)}:${PATH}` }, /no Deno .*: install Deno/],
      [{ DENO: fake }, /DENO=.* is not a Deno 2\.7 or later of your own/],
    ];
    for (const [more, why] of cases) {
      const { code, all } = await run(["make", "release"], {
        cwd: dir,
        env: { ...env, ...more },
      });
      assertEquals(code, 2, all);
      assertMatch(all, why);
    }
  }));

Deno.test("make release refuses the @std that npm repackaged", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    await script(`${dir}/own/deno`, "echo deno 2.7.0");
    await Deno.mkdir(`${dir}/vendor`);
    await Deno.writeTextFile(`${dir}/vendor/.from-npm`, "");
    const { code, all } = await run(["make", "release"], {
      cwd: dir,
      env: { DENO: `${dir}/own/deno` },
    });
    assertEquals(code, 2, all);
    assertMatch(all, /@std from JSR.*: run 'make clean' first/);
  }));

Deno.test("make release builds each target with Deno's own deno", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    // Compiles to a file of the given arguments, and passes on all else.
    await script(
      `${dir}/own/deno`,
      `case $1 in
        --version) echo deno 2.7.0 ;;
        cache) ;;
        compile)
          args=$*
          while [ "$1" != --output ]; do shift; done
          echo "$args" >"$2" ;;
        *) exec "${Deno.execPath()}" "$@" ;;
      esac`,
    );
    const { code, all } = await run(["make", "release"], {
      cwd: dir,
      env: { DENO: `${dir}/own/deno` },
    });
    assertEquals(code, 0, all);
    const sums = await run(["sh", "-c", "sha256sum --check *.sha256"], {
      cwd: `${dir}/dist`,
    });
    assertEquals(sums.code, 0, sums.all);
    assertMatch(sums.all, /pvpn-\d.*-x86_64-unknown-linux-gnu: OK/);
    assertMatch(sums.all, /pvpn-\d.*-aarch64-unknown-linux-gnu: OK/);
    const [file = ""] = sums.lines[0]?.split(":") ?? [];
    const args = await Deno.readTextFile(`${dir}/dist/${file}`);
    assertMatch(args, /--allow-run=\S+ .* --target x86_64-\S+ cli\.ts\n$/);
  }));

Deno.test("tools/with-deno takes no Deno older than 2.7", () =>
  withDir(async (dir) => {
    const cases = {
      "1.46.3": 1,
      "2.6.9": 1,
      "2.7.0": 0,
      "2.10.1": 0,
      "3.0.0": 0,
    };
    for (const [version, expected] of Object.entries(cases)) {
      const DENO = `${dir}/${version}/deno`;
      await script(
        DENO,
        `[ "$1" != --version ] || echo "deno ${version} (stable)"`,
      );
      const { code, all } = await run(["tools/with-deno", "deno"], {
        env: { DENO },
      });
      assertEquals(code, expected, `${version}: ${all}`);
    }
  }));

Deno.test("tools/offline refuses another architecture in words", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    const PATH = await onlyCommands(`${dir}/bin`, ...SHELL);
    await script(`${dir}/fake/uname`, "echo Linux aarch64");
    await script(`${dir}/fake/npm`, "exit 1");
    const { code, all } = await run(["tools/offline/setup.sh"], {
      cwd: dir,
      env: { PATH: `${dir}/fake:${PATH}` },
    });
    assertEquals(code, 1, all);
    assertMatch(all, /x86_64 only, and this is Linux aarch64: install Deno/);
  }));

Deno.test("tools/offline takes no interrupted setup for a finished one", () =>
  withDir(async (dir) => {
    await copyTree(dir);
    const bin = `${dir}/tools/offline/node_modules/@deno/linux-x64-glibc`;
    await script(`${bin}/deno`, "exit 1");
    await script(`${bin}/denort`, "exit 1");
    await Deno.mkdir(`${dir}/vendor`);
    const ready = () =>
      run(["tools/offline/setup.sh", "--ready"], { cwd: dir });
    assertEquals((await ready()).code, 1);
    // Of other pins.
    for (const stamp of [`${bin}/../../.from-npm`, `${dir}/vendor/.from-npm`]) {
      await Deno.writeTextFile(stamp, `${"0".repeat(64)}\n`);
    }
    assertEquals((await ready()).code, 1);
  }));

Deno.test("tools/offline writes no denort with another checksum", () =>
  withDir(async (dir) => {
    const { code, all } = await run([
      Deno.execPath(),
      "run",
      "-A",
      "tools/offline/denort.ts",
      Deno.execPath(),
      `${dir}/denort`,
      "0".repeat(64),
    ]);
    assertEquals(code, 1, all);
    assertMatch(all, /denort is [0-9a-f]{64}/);
    assertEquals(await Array.fromAsync(Deno.readDir(dir)), []);
  }));
