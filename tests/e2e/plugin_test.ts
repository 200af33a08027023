/** A tunnel type that is not built in gets all of the core's services. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { labTest } from "../lab/suite.ts";
import { Before } from "./running.ts";

const PROGRAM = fromFileUrl(
  new URL("../fixtures/trivial_plugin.ts", import.meta.url),
);

labTest(
  "a plugin of 20 lines makes a tunnel, and leaves nothing",
  async (lab) => {
    // Where the client can see it, wherever it is installed.
    const deno = `${lab.dir}/deno-program`;
    await Deno.copyFile(Deno.execPath(), deno);
    const run = (...args: string[]) =>
      lab.client.ok(
        [deno, "run", "-A", "--no-check", PROGRAM, ...args],
        // Its cache is not the client's business.
        { env: { DENO_DIR: `${lab.dir}/deno` } },
      );
    const before = await Before.of(lab);
    assertEquals(await run("connect", "root@server"), "trivial0\n");
    for (
      const [node, device] of [[lab.client, "trivial0"], [
        lab.server,
        "trivial9",
      ]] as const
    ) {
      const shown = await node.ok(["ip", "address", "show", "dev", device]);
      assertMatch(shown, / mtu 1400 [^]* inet [\d.]+ peer [\d.]+\/32 /);
    }
    await run("disconnect");
    await before.assertSame("after the plugin's tunnel");
  },
);
