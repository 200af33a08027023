/** What is written about pvpn agrees with what it does. */
import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ExitCode } from "../../lib/errors.ts";
import { helpText } from "../../lib/help.ts";
import { type Option, OPTIONS } from "../../lib/options.ts";
import { PLUGIN_FOLDERS } from "../../lib/plugin_loader.ts";
import { withOptions } from "../../tools/man.ts";
import { plugins } from "../../plugins/mod.ts";

const read = (path: string) =>
  Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
const listed: readonly Option[] = OPTIONS.filter((option) =>
  option.group !== undefined
);

Deno.test("pvpn(8) has the options of the table, and all of their values", async () => {
  const page = await read("man/pvpn.8");
  assertEquals(page, withOptions(page), "run tools/man.ts");
  for (const { long, choices = [] } of listed) {
    const [, body = ""] = page.split(
      new RegExp(`^\\.It (?:.* )?Fl \\\\-${long}(?: .*)?\n`, "m"),
    );
    const text = body.split(/^\.(?:It|El)/m)[0]!;
    for (const choice of choices) {
      assertStringIncludes(text, `.Cm ${choice}\n`, `--${long}`);
    }
  }
});

Deno.test("withOptions() keeps what is written, and adds what is missing", async () => {
  const page = await read("man/pvpn.8");
  const mtu = /^\.It Fl \\-mtu Ar BYTES\n[^]*?(?=\.It )/m;
  const body = mtu.exec(page)?.[0] ?? "";
  const put = withOptions(
    page.replace(body, "").replace(/(Fl \\-foreground)$/m, "$1 Ar X"),
  );
  const words = ".It Fl \\-mtu Ar BYTES\nMTU of the tunnel, 576 to ";
  assertStringIncludes(put, words);
  assertEquals(put.replace(mtu, () => body), page);
  const more = page.replace(body, `.It Fl \\-other\nX\n${body}`);
  assertThrows(() => withOptions(more), Error, "\\-other");
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
