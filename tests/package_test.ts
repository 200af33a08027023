/** Packages: make deb, make dist, and what contrib/ has for others. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { VERSION } from "../lib/version.ts";
import { unchanged } from "./e2e/helpers.ts";
import { ADDRESS, Lab } from "./lab/lab.ts";
import { pvpnBinary } from "./lab/pvpn.ts";
import { reach } from "./lab/reach.ts";
import { copyTree, lacks, ROOT, run, withDir } from "./tools_tree.ts";

/** A test that is left out where commands, or root's rights, are missing. */
async function test(
  name: string,
  commands: readonly string[],
  fn: () => Promise<void>,
): Promise<void> {
  const words = commands.filter((command) => command !== "root");
  const root = words.length < commands.length && Deno.uid() !== 0 ? "root" : "";
  const needs = [await lacks(...words), root].filter(Boolean).join(" ");
  Deno.test({
    name: needs ? `${name} (needs ${needs})` : name,
    ignore: needs !== "",
    fn,
  });
}

/** Builds a package in a folder, quickly; resolves to its path. */
async function buildDeb(dir: string): Promise<string> {
  const env = {
    DPKG_DEB_COMPRESSOR_TYPE: "gzip",
    DPKG_DEB_COMPRESSOR_LEVEL: "1",
    SOURCE_DATE_EPOCH: "1700000000",
  };
  const { code, all } = await run(["tools/deb", pvpnBinary(), dir], { env });
  assertEquals(code, 0, all);
  const [, path = ""] = / in '(.*)'\.\n$/.exec(all) ?? [];
  assertStringIncludes(path, `/pvpn_${VERSION.replaceAll("-", "~")}-1_`);
  return path;
}

const sha256 = async (path: string) =>
  (await run(["sha256sum", path])).all.split(" ")[0];

await test("make deb: lintian finds nothing, and it is reproducible", [
  "dpkg-deb",
  "lintian",
], () =>
  withDir(async (dir) => {
    const first = await buildDeb(`${dir}/a`);
    const second = await buildDeb(`${dir}/b`);
    assertEquals(await sha256(first), await sha256(second));
    await Deno.remove(second);
    // lintian would rather not be root.
    await run(["chmod", "-R", "a+rX", dir]);
    const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    const argv = ["lintian", "--pedantic", "--display-info", first];
    const { code, all } = await run(
      Deno.uid() === 0 ? ["setpriv", ...nobody, ...argv] : argv,
      { env: { HOME: "/nonexistent" } },
    );
    assertEquals(all, "");
    assertEquals(code, 0);
  }));

/** Gives a machine a /usr and a /var that it can write, over the host's. */
const OVERLAY = `
set -eu
mkdir "$1"
mount -t tmpfs overlay "$1"
for dir in usr var; do
  mkdir "$1/$dir" "$1/$dir.work"
  mount -t overlay -o "lowerdir=/$dir,upperdir=$1/$dir,workdir=$1/$dir.work" \\
    overlay "/$dir"
done
mount -t tmpfs -o mode=755 lab /var/log
`;

/** What a package manager writes down for itself. */
const ITS_OWN = /^(?:var\/lib\/dpkg|var\/cache\/man|var\/log)\b/;

await test("make deb: it is installed, runs, stops and is purged", [
  "dpkg-deb",
  "man",
  "root",
], async () => {
  await using lab = await Lab.up({ jump: false });
  const { client } = lab;
  const deb = await buildDeb(`${lab.dir}/deb`);
  const over = `${lab.dir}/over`;
  await client.ok(["sh", "-c", OVERLAY, "sh", over]);
  // Docker's dpkg leaves manuals out.
  const dpkg = (...args: string[]) =>
    client.ok(["dpkg", "--log=/dev/null", "--path-include=*", ...args], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  await unchanged(lab, async () => {
    await dpkg("--install", deb);
    assertEquals(await client.ok(["dpkg", "--verify", "pvpn"]), "");
    assertEquals(await client.ok(["pvpn", "-v"]), `pvpn ${VERSION}\n`);
    assertMatch(await client.ok(["pvpn", "--help"]), /^Usage: pvpn /);
    const env = { MANPAGER: "cat", MANWIDTH: "80" };
    assertMatch(await client.ok(["man", "pvpn"], { env }), /^PVPN\(8\) /);
    await client.ok(["pvpn", "-t", "ssh-3", "root@server", "10.88.0.0/24"]);
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    // An upgrade leaves the tunnel up; who removes the program, stops it.
    await dpkg("--install", deb);
    assertEquals(await reach(client, ADDRESS.inet), { from: "10.88.0.1" });
    assertMatch(await dpkg("--remove", "pvpn"), /^tun0 disconnected$/m);
    await dpkg("--purge", "pvpn");
  });
  const found = await client.ok(
    ["find", "usr", "var", "!", "-type", "d", "-not", "-path", "*.work/*"],
    { cwd: over },
  );
  const left = found.split("\n").filter((path) => path && !ITS_OWN.test(path));
  assertEquals(left, []);
  assertMatch(
    (await client.run(["dpkg", "--status", "pvpn"])).stderr,
    /not installed/,
  );
});

/** Git, as nobody in particular. */
const GIT = {
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example.org",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example.org",
  GIT_CONFIG_GLOBAL: "/dev/null",
};

await test("make dist makes the same of the same commit, elsewhere too", [
  "git",
], () =>
  withDir(async (dir) => {
    await Deno.mkdir(`${dir}/one`);
    await copyTree(`${dir}/one`);
    await Deno.writeTextFile(`${dir}/one/.gitignore`, "/dist/\n/pvpn\n");
    const sh = async (script: string, cwd: string) => {
      const { code, all } = await run(["sh", "-ec", script], {
        cwd: `${dir}/${cwd}`,
        env: GIT,
      });
      assertEquals(code, 0, all);
      return all;
    };
    await sh("touch lib/x.ts plugins/x.ts", "one"); // git keeps no empty folder
    await sh("git init -q; git add .; git commit -qm one", "one");
    await sh("umask 077; git clone -q one two", ".");
    await sh("git config tar.umask 077; umask 077", "two");
    const name = `dist/pvpn-${VERSION}.tar.gz`;
    for (const tree of ["one", "two"]) {
      assertEquals(await sh("make -s dist", tree), `${name}\n`);
    }
    assertEquals(
      await sha256(`${dir}/one/${name}`),
      await sha256(`${dir}/two/${name}`),
    );
    const inside = await sh(`tar xf ../one/${name} -C .; git ls-files`, "two");
    const unpacked = await sh(
      "find . -type f -printf '%P\\n'",
      `two/pvpn-${VERSION}`,
    );
    assertEquals(unpacked.split("\n").sort(), inside.split("\n").sort());
    // What is not committed is not in it: so it is not made.
    const { code, all } = await run(["make", "-s", "dist"], {
      cwd: `${dir}/two`,
      env: GIT,
    });
    assertEquals(code, 2, all);
    assertStringIncludes(all, `pvpn-${VERSION}/`);
  }));

await test("the PKGBUILD is of this version, and packages what make installs", [
  "bash",
  "shellcheck",
], () =>
  withDir(async (dir) => {
    const path = `${ROOT}contrib/arch/PKGBUILD`;
    // makepkg reads these, and sets pkgdir.
    const unknown = "--exclude=SC2034,SC2154";
    const lint = await run(["shellcheck", "--shell=bash", unknown, path]);
    assertEquals(lint.all, "");
    const { license } = JSON.parse(await Deno.readTextFile("deno.json"));
    const show = 'echo "$pkgname $_version $pkgver $license ${options[*]}"';
    const { all } = await run(["bash", "-ec", `. ${path}; ${show}`]);
    const plain = VERSION.replaceAll("-", "");
    assertEquals(all, `pvpn ${VERSION} ${plain} ${license} !strip !debug\n`);
    const tree = `${dir}/pvpn-${VERSION}`;
    await Deno.mkdir(tree);
    await copyTree(tree);
    await Deno.writeTextFile(`${tree}/LICENSE`, "");
    // It is built already, but make cannot know.
    const script = `. ${path}; make() { command make -o pvpn "$@"; }
      pkgdir=${dir}/pkg; package
      make -C ${tree} install DESTDIR=${dir}/all PREFIX=/usr`;
    const made = await run(["bash", "-ec", script], { cwd: dir });
    assertEquals(made.code, 0, made.all);
    const files = async (folder: string) =>
      (await run(["find", ".", "-type", "f"], { cwd: `${dir}/${folder}` }))
        .lines;
    assertEquals(
      (await files("pkg")).toSorted(),
      [...await files("all"), "./usr/share/licenses/pvpn/LICENSE"].toSorted(),
    );
  }));
