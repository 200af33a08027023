/**
 * `make release`: writes `dist/pvpn-VERSION-TARGET` for each target, and their
 * SHA-256 sums. `tools/with-deno --release` sees to it that this is Deno's own
 * `deno`, which downloads Deno's own `denort` for each target.
 */
import { compileArgs } from "./compile_task.ts";

const TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

const { version } = JSON.parse(await Deno.readTextFile("deno.json"));
await Deno.mkdir("dist", { recursive: true });
let sums = "";
for (const target of TARGETS) {
  const name = `pvpn-${version}-${target}`;
  const { code } = await new Deno.Command("deno", {
    args: await compileArgs({ output: `dist/${name}`, target }),
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) {
    throw new Error(`deno compile for ${target}: exit status ${code}`);
  }
  const bytes = await Deno.readFile(`dist/${name}`);
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  sums += `${sum.toHex()}  ${name}\n`;
}
// Last, so that sums stand only beside a complete release.
await Deno.writeTextFile(`dist/pvpn-${version}.sha256`, sums);
