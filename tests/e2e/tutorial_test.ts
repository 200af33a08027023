/** docs/plugins.md does what it says: each of its snippets is run. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Lab } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { suite } from "./helpers.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const FOLDER = "/run/tutorial";

/** A fenced block of a page. */
interface Snippet {
  readonly language: string;
  /** The file that it is, or is a part of. */
  readonly file: string;
  readonly text: string;
}

async function snippets(): Promise<Snippet[]> {
  const page = await Deno.readTextFile(`${ROOT}/docs/plugins.md`);
  const blocks = page.matchAll(/^```(\w*) ?(.*)\n([^]*?)^```$/gm);
  return [...blocks].map(([, language = "", file = "", text = ""]) => (
    { language, file, text }
  ));
}

/** Types a session; what it shows must be there, and `...` is anything. */
async function type(lab: Lab, session: string): Promise<void> {
  for (const part of session.split(/^# /m).slice(1)) {
    const [command = "", ...shown] = part.trimEnd().split("\n");
    const { code, stdout, stderr } = await lab.client.run(
      ["sh", "-c", `PATH=${lab.dir}/bin:$PATH; ${command}`],
      { cwd: FOLDER },
    );
    assertEquals(code, 0, `${command}: ${stderr}`);
    // Columns are as wide as what is in them.
    const output = stdout.replace(/ +/g, " ");
    const pattern = shown.map((line) =>
      line === "..." ? "(?:.*\n)*?" : `${RegExp.escape(line)}\n`
    ).join("").replace("time 0ms", "time \\d+ms");
    assert(
      new RegExp(`^${pattern}$`).test(output),
      `${command} shows:\n${stdout}`,
    );
  }
}

const test = suite({ jump: false }, async ({ client, dir }) => {
  // Of this client alone: its /usr is the host's.
  await client.ok([
    "mount",
    "-t",
    "tmpfs",
    "-o",
    "mode=755",
    "lab",
    "/usr/local/lib",
  ]);
  await client.ok(["mkdir", FOLDER]);
  await Deno.mkdir(`${dir}/bin`);
  await Deno.symlink(pvpnBinary(), `${dir}/bin/pvpn`);
});

test("docs/plugins.md: what is typed shows what it says", async (lab) => {
  const all = await snippets();
  assert(all.filter(({ language }) => language === "console").length >= 2);
  for (const { language, file, text } of all) {
    if (language === "console") await type(lab, text);
    else if (!file.includes("/")) {
      await lab.client.writeFile(`${FOLDER}/${file}`, text);
    }
  }
  await lab.client.ok(["sh", "-c", `rm ${FOLDER}/*`]);
});

Deno.test("docs/plugins.md: what is quoted is in the file", async () => {
  const flat = (text: string) => text.replace(/\s+/g, " ");
  const quoted = (await snippets()).filter(({ file }) => file.includes("/"));
  assert(quoted.length > 0);
  for (const { file, text } of quoted) {
    const whole = await Deno.readTextFile(`${ROOT}/${file}`);
    assertStringIncludes(flat(whole), flat(text).trim());
  }
});

Deno.test({
  name: "docs/plugins.md: the test that it ends with passes, in full",
  ignore: Deno.uid() !== 0,
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "pvpn-tutorial-" });
    try {
      for (const { file, text } of await snippets()) {
        if (file === "" || file.includes("/")) continue;
        await Deno.writeTextFile(`${dir}/${file}`, text);
      }
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["test", "-A", "--no-check", `${dir}/my-tun_test.ts`],
        cwd: ROOT,
        env: { NO_COLOR: "1", PVPN_BINARY: pvpnBinary() },
      }).output();
      const said = new TextDecoder().decode(stdout);
      assertEquals(code, 0, said + new TextDecoder().decode(stderr));
      assertStringIncludes(said, "my-tun carries the default route");
      assertStringIncludes(said, "| 0 failed");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
