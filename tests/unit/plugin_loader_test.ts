import { assert, assertEquals, assertMatch } from "@std/assert";
import { PLUGIN_FOLDERS, PluginLoader } from "../../lib/plugin_loader.ts";
import { Registry } from "../../lib/registry.ts";
import { failureOf, system } from "./helpers.ts";
import { load, rootTest, text } from "./plugin_place.ts";

rootTest("a plugin is loaded from its file", async (place) => {
  await place.write(`${place.plugins}/mine.js`);
  assertEquals(await place.find(), "a");
});

rootTest("a plugin may import pvpn, and files beside it", async (place) => {
  await place.write(`${place.plugins}/words.js`, 'export default "beside";');
  const imports = 'import { INTERFACE_VERSION } from "@pvpn/pvpn";\n' +
    'import words from "./words.js";\n';
  const members = { version: "INTERFACE_VERSION", summary: "words" };
  await place.write(`${place.plugins}/mine.js`, imports + text(members));
  assertEquals(await place.find(), "beside");
});

rootTest("the plugin of an odd folder is found all the same", async (place) => {
  const odd = `${place.outside}/a b%41@+,`;
  await Deno.mkdir(odd);
  await place.write(`${odd}/mine.js`);
  await Deno.remove(place.plugins);
  await Deno.symlink(odd, place.plugins);
  assertEquals(await place.find(), "a");
});

rootTest("what is refused is not run", async (place) => {
  const done = `${place.outside}/done`;
  const run = `Deno.writeTextFileSync(${JSON.stringify(done)}, "");\n`;
  await place.write(`${place.plugins}/mine.js`, run + text());
  await Deno.chmod(`${place.plugins}/mine.js`, 0o666);
  await place.refusal();
  assertEquals((await Array.fromAsync(Deno.readDir(place.outside))).length, 0);
  await Deno.chmod(`${place.plugins}/mine.js`, 0o644);
  await place.find();
  assertEquals((await Array.fromAsync(Deno.readDir(place.outside))).length, 1);
});

rootTest(
  "a type that is nowhere is told with where it was looked for",
  async (place) => {
    const { message, hints } = await place.refusal();
    assertEquals(message, 'unknown tunnel type "mine"');
    assertMatch(hints.join("\n"), /no mine\.js is in .*\/plugins\//);
  },
);

rootTest("a link to nothing is nowhere", async ({ plugins, refusal }) => {
  await Deno.symlink("nothing.js", `${plugins}/mine.js`);
  assertEquals((await refusal()).message, 'unknown tunnel type "mine"');
});

rootTest("links in a circle are nowhere", async ({ plugins, refusal }) => {
  await Deno.symlink("mine.js", `${plugins}/mine.js`);
  assertEquals((await refusal()).message, 'unknown tunnel type "mine"');
});

rootTest(
  "a plugin that was removed under a tunnel is missed",
  async (place) => {
    const loader = new PluginLoader(system, load, place.plugins, []);
    const error = await failureOf(() =>
      new Registry([], loader).find("mine", `${place.plugins}/mine.js`)
    );
    assertMatch(error.message, /^there is no file ".*mine\.js"$/);
  },
);

rootTest("all plugins are listed, the first of each name", async (place) => {
  const { plugins, outside, write } = place;
  for (
    const name of ["b.js", "a.js", "A.js", "..js", "c.ts", ".js", "a.b.js"]
  ) {
    await write(`${plugins}/${name}`, "");
  }
  for (const name of ["a.js", "d.js"]) await write(`${outside}/${name}`, "");
  const loader = new PluginLoader(system, load, plugins, ["/nowhere", outside]);
  assertEquals((await loader.list()).sort(), [
    `${outside}/d.js`,
    ...[`${plugins}/a.js`, `${plugins}/b.js`],
  ]);
});

rootTest(
  "types are listed with their sources, broken ones too",
  async (place) => {
    const { plugins, write } = place;
    await write(`${plugins}/mine.js`);
    await write(`${plugins}/other.js`, "nonsense");
    const loader = new PluginLoader(system, load, plugins, []);
    const [mine, other] = (await new Registry([], loader).all())
      .sort((a, b) => "plugin" in a ? -1 : "plugin" in b ? 1 : 0);
    assert(mine !== undefined && "plugin" in mine);
    assertEquals(mine.file, `${plugins}/mine.js`);
    assert(other !== undefined && "problem" in other);
    assertMatch(other.problem, /nonsense is not defined/);
  },
);

Deno.test("a program that the binary may not run is told before it is needed", {
  ignore: Deno.uid() !== 0,
  permissions: { run: ["sh", "ls"], write: ["/run"], read: true, env: true },
}, async () => {
  const dir = await Deno.makeTempDir({ dir: "/run", prefix: "pvpn-test-" });
  try {
    await Deno.chmod(dir, 0o755);
    const file = `${dir}/mine.js`;
    const loader = new PluginLoader(system, load, dir, []);
    // The core's, a granted one, a built-in type's, one for plugins; and cat.
    const commands = '["ip", "ls", "pppd", "wg", "cat"]';
    await Deno.writeTextFile(file, text({ commands }));
    const { message, hints } = await failureOf(() =>
      loader.load(file, ["pppd"])
    );
    assertMatch(message, /runs "cat", which this pvpn was not built to run$/);
    assertEquals(hints, [`build one that is: make PLUGINS=${file}`]);
    const { type } = await loader.load(file, ["pppd", "cat"]);
    assertEquals(type, "mine");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("plugins are looked for in two folders, and one of the user's", async () => {
  const folders = (first?: string) =>
    new PluginLoader(system, load, first).folders;
  for (const none of [undefined, ""]) {
    assertEquals(folders(none), PLUGIN_FOLDERS);
  }
  assertEquals(folders("/opt/p/"), ["/opt/p", ...PLUGIN_FOLDERS]);
  assertEquals(folders("/"), ["/", ...PLUGIN_FOLDERS]);
  for (const bad of ["opt", "./opt", "~/p", "/a\nb", "/a\x1bb", "/$(id)"]) {
    const error = await failureOf(() => folders(bad));
    assertMatch(error.message, /^PVPN_PLUGINS is ".*not the absolute path/);
  }
});
