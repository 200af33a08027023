/** What is written about pvpn agrees with what it does. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ExitCode } from "../../lib/errors.ts";
import { helpText } from "../../lib/help.ts";
import { type Option, OPTIONS } from "../../lib/options.ts";
import { PLUGIN_FOLDERS } from "../../lib/plugin_loader.ts";
import { plugins } from "../../plugins/mod.ts";

const read = (path: string) =>
  Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
const listed: readonly Option[] = OPTIONS.filter((option) =>
  option.group !== undefined
);

Deno.test("pvpn(8) has every option with its value, and no other", async () => {
  const page = await read("man/pvpn.8");
  const section = page.slice(
    page.indexOf(".Sh OPTIONS"),
    page.indexOf(".Sh TUNNEL TYPES"),
  );
  const items = section.split("\n").filter((line) => line.startsWith(".It "));
  const found = items.map((item) => {
    const flags = item.match(/Fl [\w\\-]+/g) ?? [];
    return flags.map((flag) => flag.slice("Fl ".length).replace("\\-", "-"));
  });
  const expected = listed.map(({ short, long }) =>
    short === undefined ? [`-${long}`] : [short, `-${long}`]
  );
  assertEquals(found.sort(), expected.sort());
  for (const { long, value } of listed) {
    const item = items.find((line) => line.includes(`\\-${long}`));
    // mdoc takes the halves of IP1:IP2 apart.
    for (const word of value?.split(":") ?? []) {
      assertStringIncludes(item ?? "", `Ar ${word}`);
    }
  }
});

Deno.test("pvpn(8) has every exit status, tunnel type, variable and folder", async () => {
  const page = await read("man/pvpn.8");
  for (const code of Object.values(ExitCode)) {
    assertStringIncludes(page, `\n.It ${code}\n`);
  }
  for (const { type } of plugins) {
    assertStringIncludes(page, `\n.It Cm ${type}\n`);
  }
  for (const name of ["PVPN_PLUGINS", "SSH_ARGS"]) {
    assertStringIncludes(page, `.It Ev ${name}\n`);
  }
  for (const folder of PLUGIN_FOLDERS) {
    assertStringIncludes(page, `Pa ${folder}\n`);
  }
});

Deno.test("README.md names no option that pvpn does not have", async () => {
  const readme = await read("README.md");
  const used = readme.matchAll(/\bpvpn((?: --?[\w-]+(?: [\w-]+)?)+)/g);
  for (const [, words = ""] of used) {
    for (const [, flag = ""] of words.matchAll(/ -(-?[\w-]+)/g)) {
      const known = listed.some(({ short, long }) =>
        flag === short || flag === `-${long}`
      ) || flag === "-reconnect";
      assert(known, `README.md: -${flag}`);
    }
  }
});

Deno.test("--help has every tunnel type and fits a wide terminal", () => {
  const text = helpText(plugins);
  for (const { type } of plugins) assertStringIncludes(text, `\n  ${type} `);
  for (const line of text.split("\n")) assert(line.length <= 80, line);
});
