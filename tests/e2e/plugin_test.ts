/** Tunnel types that are loaded at run time, by the compiled program. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { basename } from "@std/path/basename";
import type { Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { assertFails, suite } from "./helpers.ts";
import { eventually } from "./running.ts";

const test = suite({ jump: false });

const TRIVIAL = fromFileUrl(
  new URL("../fixtures/trivial.js", import.meta.url),
);
const FOLDER = "/run/plugins";
const FILE = `${FOLDER}/trivial.js`;
const ENV = { env: { PVPN_PLUGINS: FOLDER } };
const CONNECT = ["-t", "trivial", "root@server", "10.88.0.0/24"];

/** Puts plugins where the client finds them, while `body` runs. */
async function withPlugins(
  lab: Lab,
  texts: Readonly<Record<string, string>>,
  body: () => Promise<void>,
): Promise<void> {
  await lab.client.ok(["mkdir", FOLDER]);
  try {
    for (const [name, text] of Object.entries(texts)) {
      await lab.client.writeFile(`${FOLDER}/${name}.js`, text);
    }
    await body();
  } finally {
    await lab.client.remove(FOLDER);
  }
}

const withTrivial = async (lab: Lab, body: () => Promise<void>) =>
  withPlugins(lab, { trivial: await Deno.readTextFile(TRIVIAL) }, body);

async function connect(lab: Lab): Promise<void> {
  const { code, stdout, stderr } = await pvpn(lab, CONNECT, ENV);
  assertEquals([code, stdout, stderr], [0, "trivial0 connected\n", ""]);
}

const stop = async (lab: Lab) =>
  assertEquals((await pvpn(lab, ["-S"])).stdout, "trivial0 disconnected\n");
const killSsh = (lab: Lab) => lab.client.ok(["pkill", "-KILL", "-x", "ssh"]);
/** Waits until `-l` says that it is not up, and why. */
const problem = (lab: Lab, pattern: string) =>
  eventually(lab.client, [
    ...["sh", "-c", '"$0" -l | grep -qE "$1"', pvpnBinary(), pattern],
  ], 10_000);
/** Waits until it is up again, for the so-manieth time. */
const comesBack = (lab: Lab, times: number) =>
  eventually(lab.client, [
    ...["grep", "-q", `"phase":"up".*"reconnects":${times}\\b`],
    "/run/pvpn/trivial0.json",
  ], 10_000);

test("a plugin of 20 lines makes a tunnel, and leaves nothing", async (lab) => {
  await withTrivial(lab, async () => {
    await connect(lab);
    for (
      const [node, device] of [
        [lab.client, "trivial0"],
        [lab.server, "trivial9"],
      ] as const
    ) {
      const shown = await node.ok(["ip", "address", "show", "dev", device]);
      assertMatch(shown, / mtu 1500 [^]* inet [\d.]+ peer [\d.]+\/32 /);
    }
    assertMatch((await pvpn(lab, ["-l"])).stdout, /^trivial0 +trivial +up /m);
    await stop(lab);
  });
});

test("a plugin's tunnel comes back, by the file that it was made by", async (lab) => {
  await withTrivial(lab, async () => {
    await connect(lab);
    const { plugin } = JSON.parse(
      await lab.client.readFile("/run/pvpn/trivial0.json"),
    );
    assertEquals(plugin, FILE);
    await killSsh(lab);
    await comesBack(lab, 1);
    // Gone, or somebody else's: it holds its routes, and looks again.
    await lab.client.ok(["chmod", "666", FILE]);
    await killSsh(lab);
    await problem(
      lab,
      '^trivial0: "/run/plugins/trivial.js" can be written by',
    );
    const route = ["ip", "route", "get", "10.88.0.9"];
    assertMatch(await lab.client.ok(route), / dev trivial0 /);
    await lab.client.ok(["chmod", "644", FILE]);
    await comesBack(lab, 2);
    await lab.client.ok(["mv", FILE, `${FILE}.old`]);
    await killSsh(lab);
    await problem(lab, "^trivial0: there is no file ");
    await stop(lab);
  });
});

test("a plugin that others could have written is refused", async (lab) => {
  await withTrivial(lab, async () => {
    await lab.client.ok(["chown", "65534", FILE]);
    const why =
      /"\/run\/plugins\/trivial.js" belongs to user 65534, not to root/;
    assertFails(await pvpn(lab, CONNECT, ENV), 2, why, /chown root:/);
    const dry = await pvpn(lab, ["-n", ...CONNECT], ENV);
    assertFails(dry, 2, why);
    const missing = await pvpn(lab, CONNECT);
    assertFails(missing, 2, /unknown tunnel type "trivial"/, /usr\/local\/lib/);
    const env = { PVPN_PLUGINS: "plugins" };
    const relative = await pvpn(lab, CONNECT, { env });
    assertFails(relative, 2, /PVPN_PLUGINS is "plugins", which is not the abs/);
  });
});

test("-n prints what a plugin does", async (lab) => {
  await withTrivial(lab, async () => {
    const { code, stdout } = await pvpn(lab, ["-n", ...CONNECT], ENV);
    assertEquals(code, 0);
    assertMatch(stdout, /^link add dev trivial0 mtu 1500 type bridge$/m);
    assertMatch(stdout, /device=trivial9; ip link add dev \$device/);
  });
});

test("only what is asked for by its name is loaded", async (lab) => {
  await withPlugins(lab, { broken: 'throw new Error("loaded")' }, async () => {
    for (
      const args of [["-h"], ["-v"], ["-l"], ["-n", "-t", "ssh-3", "server"]]
    ) {
      const { code, stderr } = await pvpn(lab, args, ENV);
      assertEquals([code, stderr], [0, ""], args.join(" "));
    }
    const broken = await pvpn(lab, ["-t", "broken", "root@server"], ENV);
    assertFails(broken, 2, /^cannot use \/run\/plugins\/broken.js: loaded$/);
  });
});

test("--types lists all types, their sources and what they run", async (lab) => {
  await withTrivial(lab, async () => {
    await lab.client.writeFile(`${FOLDER}/broken.js`, "export default 1;");
    const { code, stdout, stderr } = await pvpn(lab, ["--types"], ENV);
    assertEquals([code, stderr], [0, ""]);
    for (
      const line of [
        /^TYPE +SOURCE +RUNS +SUMMARY$/m,
        /^ppp +built in +pppd,sh,ssh +pppd over ssh;/m,
        /^trivial +\/run\/plugins\/trivial.js +ip,ssh +carries nothing$/m,
        /^broken +\/run\/plugins\/broken.js +- +cannot be used$/m,
        /^broken: cannot use .*: it has no default export that is a tunnel/m,
      ]
    ) assertMatch(stdout, line);
  });
});

// Where a compiled program has a module that it did not find in itself, Deno
// looks for it in a folder with a name that anybody can make in /tmp.
test("no module is ever taken from the folder for temporary files", async (lab) => {
  const config = new URL("../../deno.json", import.meta.url);
  const { name, imports, exports } = JSON.parse(
    await Deno.readTextFile(config),
  );
  const targets: [string, string][] = [
    ...Object.entries<string>(imports),
    ...Object.entries<string>(exports).map((
      [key, path],
    ): [string, string] => [name + key.slice(1), path]),
  ];
  const local = targets.filter(([, target]) => target.startsWith("./"));
  assert(local.length >= 2, "nothing is tried");
  const trap = `/tmp/deno-compile-${basename(pvpnBinary())}`;
  const texts = Object.fromEntries(local.map(([specifier], index) => [
    `m${index}`,
    `import * as all from "${specifier}";
     throw new Error(all.trapped ? "TRAPPED" : "genuine");`,
  ]));
  try {
    for (const [, target] of local) {
      const path = `${trap}/${target.slice(2)}`;
      await lab.client.ok(["mkdir", "-p", path.replace(/\/[^/]*$/, "")]);
      await lab.client.writeFile(path, "export const trapped = true;");
    }
    await withPlugins(lab, texts, async () => {
      for (const [index, [specifier]] of local.entries()) {
        const args = ["-t", `m${index}`, "root@server"];
        const { stderr } = await pvpn(lab, args, ENV);
        assertMatch(stderr, /: genuine\n/, specifier);
      }
    });
  } finally {
    await lab.client.remove(trap);
  }
});
