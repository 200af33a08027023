/** What systemd-analyze says of the units in contrib/systemd. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { pvpnBinary } from "../lab/pvpn.ts";
import { lacksSystemd } from "../lab/systemd.ts";

const CONTRIB = fromFileUrl(new URL("../../contrib/systemd", import.meta.url));

const lacks = lacksSystemd();

function test(name: string, fn: () => Promise<void>): void {
  const ignore = lacks !== undefined;
  Deno.test({ name: ignore ? `${name} (${lacks})` : name, ignore, fn });
}

/** Runs systemd-analyze where pvpn and its units are installed. */
async function analyze(...args: string[]) {
  const script = `
    mount -t tmpfs -o mode=755 lab /usr/local/bin
    ln -s "$0" /usr/local/bin/pvpn
    mount -t tmpfs -o mode=755 lab /etc/systemd/system
    cp "$1"/*.service /etc/systemd/system
    shift
    exec systemd-analyze "$@"`;
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: [
      ...["--mount", "sh", "-euc", script],
      ...[pvpnBinary(), CONTRIB, ...args],
    ],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const UNITS = ["pvpn@work.service", "pvpn-recover.service"];

test("systemd-analyze finds nothing wrong with the units", async () => {
  // Their manual page is not installed here.
  assertEquals(await analyze("verify", "--man=no", ...UNITS), {
    ...{ code: 0, stdout: "", stderr: "" },
  });
});

test("the units' exposure is what is documented", async () => {
  const readme = await Deno.readTextFile(`${CONTRIB}/README.md`);
  for (const unit of UNITS) {
    const argv = ["security", "--offline=true", "--no-pager", unit];
    const { stdout, stderr } = await analyze(...argv);
    const [, figure] = /exposure level for \S+: ([\d.]+ \w+)/.exec(stdout) ??
      [];
    assert(figure, stderr);
    const name = unit.replace("work", "");
    const row = readme.split("\n").find((line) => line.includes(`\`${name}\``));
    assertEquals(row?.split("|")[2]?.trim(), figure, name);
  }
});
