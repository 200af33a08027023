/** Proves that tests/lab/vm.sh runs commands as it says. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import {
  onlyCommands,
  type Outcome,
  ROOT,
  run,
  script,
  withDir,
} from "./tools_tree.ts";

const VM = `${ROOT}tests/lab/vm.sh`;
const installed = (await run(["sh", "-c", "command -v qemu-system-x86_64"]))
  .code === 0;

/** A test that boots the machine; without qemu it is left out. */
function vmTest(name: string, fn: () => Promise<void>): void {
  const why = installed ? "" : " (no qemu: tools/deps vm)";
  Deno.test({ name: name + why, ignore: !installed, fn });
}

async function gone(pattern: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const { code } = await run(["pgrep", "-f", pattern]);
    if (code === 1) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`still running: ${pattern}`);
}

vmTest(
  "a command has this machine's files, its own kernel and streams",
  () =>
    withDir(async (dir) => {
      const folder = `${dir}/a 'quoted'\nfolder`;
      await Deno.mkdir(folder);
      await Deno.writeTextFile(`${folder}/in`, "here\n");
      const inside = 'cat in; echo "$MINE|$1|$(id -u)|$(wc -c)"; ' +
        "echo error >/dev/stderr; echo x >out; test -e out || exit 1; " +
        'cd "$2"; test -x tests/lab/vm.sh || exit 2; modprobe sch_netem; ' +
        "[ -c /dev/ppp ] && [ $(stat -c %a /dev/net/tun) = 666 ] && exit 7";
      const { PATH = "", HOME = "" } = Deno.env.toObject();
      const { code, stdout, stderr } = await new Deno.Command(VM, {
        args: ["sh", "-c", inside, "sh", "it's $HOME  \n*", ROOT],
        cwd: folder,
        clearEnv: true,
        env: { PATH, HOME, MINE: "'my own'\nline" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assertEquals(text(stderr), "error\n");
      assertEquals(
        text(stdout),
        "here\n'my own'\nline|it's $HOME  \n*|0|0\n",
      );
      assertEquals(code, 7);
      assert(!await exists(`${folder}/out`), "it wrote here");
    }),
);

vmTest(
  "output comes at once, and the machine ends with its script",
  () =>
    withDir(async (dir) => {
      const child = new Deno.Command(VM, {
        args: ["sh", "-c", "echo live; sleep 1000"],
        env: { TMPDIR: dir },
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.getReader();
      const { value } = await reader.read();
      assertEquals(value?.length, 5);
      assertEquals((await run(["pgrep", "-f", `qemu.*${dir}`])).code, 0);
      child.kill("SIGKILL");
      await child.status;
      await gone(`qemu.*${dir}`);
      await reader.cancel();
    }),
);

/** Milliseconds of the same work, a few times, by the machine's clock. */
const LOOPS = `for try in 0 1 2 3 4 5; do
  begin=$EPOCHREALTIME n=0
  while [ $n -lt 20000 ]; do n=$((n + 1)); done
  end=$EPOCHREALTIME
  echo $(( (\${end/./} - \${begin/./}) / 1000 ))
done`;

vmTest(
  "with VM_CLOCK=instructions the same takes as long however busy the host is",
  async () => {
    const busy = Array.from(
      { length: navigator.hardwareConcurrency },
      () =>
        new Deno.Command("sh", { args: ["-c", "while :; do :; done"] }).spawn(),
    );
    try {
      const { code, stdout, stderr } = await new Deno.Command(VM, {
        args: ["bash", "-c", LOOPS],
        env: { VM_CLOCK: "instructions" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assertEquals(code, 0, text(stderr));
      const [, ...times] = text(stdout).trim().split("\n").map(Number);
      assertEquals(times.length, 5);
      const [least, most] = [Math.min(...times), Math.max(...times)];
      assert(least > 0 && most < 1.05 * least, `${times} ms`);
    } finally {
      for (const child of busy) {
        child.kill("SIGKILL");
        await child.status;
      }
    }
  },
);

/** The files of a kernel that vm.sh unpacks, as dpkg-deb would print them. */
const PACKAGE = `cd "$(mktemp -d "$DIR/package.XXXXXX")"
k=lib/modules/1/kernel
mkdir -p boot $k/arch $k/crypto $k/lib $k/net $k/fs/9p $k/fs/fscache \
  $k/fs/netfs $k/fs/overlayfs $k/drivers/virtio $k/drivers/char \
  $k/drivers/net/ppp $k/drivers/net/slip $k/drivers/net/wireguard
touch boot/vmlinuz-1 lib/modules/1/modules.order $k/drivers/net/tun.ko \
  $k/drivers/char/virtio_console.ko
tar -c .`;

/** Commands that stand in for apt-get, qemu and their like. */
async function fakes(dir: string, qemu: string): Promise<void> {
  const commands: Record<string, string> = {
    "apt-cache": 'echo "  Depends: linux-image-1"',
    "apt-get": `[ "$1" = download ] || exit 1
      [ ! -e "$DIR/broken" ] || { touch linux-image-1.deb; exit 1; }
      echo "$2" >>"$DIR/downloads"; sleep 0.3; touch linux-image-1.deb`,
    "dpkg-deb": PACKAGE,
    depmod: "",
    modprobe: "",
    "qemu-system-x86_64": `status=$(printf '%s\\n' "$@" |
        sed -n 's/.*path=\\(.*\\/status\\)$/\\1/p')
      ${qemu}`,
    busybox: "",
    cpio: "cat >/dev/null",
  };
  for (const [name, text] of Object.entries(commands)) {
    await script(`${dir}/bin/${name}`, text);
  }
}

/** Runs vm.sh with these instead of the real ones. */
function faked(dir: string, env: Record<string, string> = {}) {
  return run([VM, "true"], {
    env: {
      PATH: `${dir}/bin:${Deno.env.get("PATH")}`,
      DIR: dir,
      TMPDIR: dir,
      VM_CACHE: `${dir}/cache`,
      ...env,
    },
  });
}

Deno.test("tests/lab/vm.sh tells what became of the machine", () =>
  withDir(async (dir) => {
    const cases: [string, number, RegExp][] = [
      ['printf "booted\\n3\\n" >"$status"', 3, /^$/],
      ["echo no memory; exit 1", 125, /no memory\nvm: .* does not start\n$/],
      ['echo booted >"$status"', 1, /^vm: the machine went down\n$/],
      ['echo booted >"$status"; exec sleep 99', 124, /^vm: ended after 1 s\n$/],
    ];
    for (const [qemu, code, all] of cases) {
      await fakes(dir, qemu);
      const outcome = await faked(dir, { VM_TIMEOUT: "1" });
      assertMatch(outcome.all.replace(/^qemu.*\n/gm, ""), all);
      assertEquals(outcome.code, code, outcome.all);
    }
  }));

Deno.test("tests/lab/vm.sh has a clock of instructions only where it is told", () =>
  withDir(async (dir) => {
    await fakes(
      dir,
      'echo "$*" >"$DIR/argv"; printf "booted\\n0\\n" >"$status"',
    );
    for (const VM_CLOCK of ["", "instructions"]) {
      const { code, all } = await faked(dir, { VM_CLOCK });
      assertEquals([code, all], [0, ""]);
      const argv = await Deno.readTextFile(`${dir}/argv`);
      assertEquals(/ -icount shift=0,/.test(argv), VM_CLOCK !== "", argv);
    }
    await Deno.remove(`${dir}/argv`);
    const { code, all } = await faked(dir, { VM_CLOCK: "hours" });
    assertEquals(code, 125);
    assertEquals(
      all,
      "vm: VM_CLOCK is hours: it may be unset, or instructions\n",
    );
    assert(!await exists(`${dir}/argv`));
  }));

Deno.test("tests/lab/vm.sh names what is missing", () =>
  withDir(async (dir) => {
    await onlyCommands(`${dir}/bin`, "dirname");
    // Hides what this machine has.
    const text = await Deno.readTextFile(VM);
    await script(`${dir}/vm.sh`, text.replace(/^PATH=.*$/m, ""));
    const env = { PATH: `${dir}/bin` };
    const { code, all } = await run(["/bin/sh", `${dir}/vm.sh`, "true"], {
      env,
    });
    assertEquals(code, 125);
    assertEquals(all, "vm: no qemu-system-x86_64 here: run tools/deps vm\n");
  }));

Deno.test("tests/lab/vm.sh fetches the kernel once, and takes no half of it", () =>
  withDir(async (dir) => {
    await fakes(dir, 'printf "booted\\n0\\n" >"$status"');
    await Deno.writeTextFile(`${dir}/broken`, "");
    const broken = await faked(dir);
    assertEquals(broken.code, 125, broken.all);
    assertMatch(broken.all, /^vm: cannot fetch the kernel of Debian/);
    await Deno.remove(`${dir}/broken`);
    // As if the one that was killed had left it.
    await Deno.mkdir(`${dir}/cache/new.xyz/root/boot`, { recursive: true });
    const both = await Promise.all([faked(dir), faked(dir)]);
    const fine = (outcome: Outcome) =>
      assertEquals([outcome.code, outcome.all], [0, ""]);
    both.forEach(fine);
    fine(await faked(dir));
    assertEquals(
      await Deno.readTextFile(`${dir}/downloads`),
      "linux-image-1\n",
    );
    const left = [...Deno.readDirSync(`${dir}/cache`)].map(({ name }) => name);
    assertEquals(left.sort(), ["kernel-1", "lock"]);
  }));
