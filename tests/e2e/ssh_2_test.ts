/** examples/plugins/ssh_2.ts, compiled in, held to what all types do. */
import { assertEquals } from "@std/assert";
import { testPlugin } from "../../testing.ts";
import { compilePvpn } from "../../tools/compile.ts";

const dir = await Deno.makeTempDir({ prefix: "pvpn-ssh-2-" });
const pvpn = `${dir}/pvpn`;

if (Deno.uid() === 0) {
  Deno.test.beforeAll(async () => {
    // From a copy that is gone later: it has to be in the program.
    const copy = `${dir}/ssh 2.ts`;
    await Deno.copyFile("examples/plugins/ssh_2.ts", copy);
    await compilePvpn([copy], pvpn);
    await Deno.remove(copy);
  });
}
Deno.test.afterAll(() => Deno.remove(dir, { recursive: true }));

testPlugin("ssh-2", { pvpn });

Deno.test({
  name: "a type that is compiled in is listed as the built-in ones are",
  ignore: Deno.uid() !== 0,
  async fn() {
    const { stdout } = await new Deno.Command(pvpn, { args: ["--types"] })
      .output();
    const [, line] = new TextDecoder().decode(stdout).split(/\n(?=ssh-2)/);
    assertEquals(line?.split(/ {2,}/).slice(0, 3), [
      ...["ssh-2", "built in", "ip,sh,ssh"],
    ]);
  },
});
