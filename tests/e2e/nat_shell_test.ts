/** The server's part of --nat, run by the shells that servers have. */
import { assert, assertEquals } from "@std/assert";
import { NAT } from "../../lib/remote_nat.ts";
import { labTest } from "../lab/suite.ts";
import { closeServer } from "./nat.ts";

// What the script has around its parts; s1 stands for the tunnel's device. A
// busybox may have an ip of its own, which servers with iproute2 do not use.
const AROUND = `
set -f
parts= undo_parts= local6=fd00::2 peer6=fd00::1 peer=10.1.0.1
ip() { command /usr/sbin/ip "$@"; }
say() { echo "$*"; }
fail() { say "error=$*"; exit 1; }
index_of() { i= ; read -r i 2>/dev/null <"/sys/class/net/$1/ifindex"; }
`;
const SHOW = `
nft list ruleset | sed "s/:$$:/:PID:/"
cat /proc/sys/net/ipv[46]/conf/s[012]/*forwarding
`;
const ACT = `
for part in $parts; do "$part" s1; done
echo up
set +f
${SHOW}
set -f
for part in $undo_parts; do "$part"; done
echo down
set +f
${SHOW}
`;
const SHELLS = ["dash", "bash", "bash --posix", "busybox sh", "mksh", "ksh93"];

labTest("every shell does the same for --nat, and undoes it", async (lab) => {
  const { server } = lab;
  await closeServer(lab);
  const before = await server.snapshot();
  const found: string[] = [];
  for (const shell of SHELLS) {
    const [program = "", ...args] = shell.split(" ");
    if ((await server.run(["which", program])).code !== 0) continue;
    const argv = [program, ...args, "-c", AROUND + NAT.text + ACT];
    const { code, stdout, stderr } = await server.run(argv);
    assertEquals([shell, code, stderr], [shell, 0, ""]);
    const [up = "", down = ""] = stdout.split(/^down\n/m);
    assertEquals(up.match(/masquerade/g)?.length, 2, shell);
    assertEquals(up.match(/^1$/gm)?.length, up.includes("all") ? 3 : 5, shell);
    assertEquals(down.replace(/0\n/g, ""), "", shell);
    assertEquals(await server.snapshot(), before, shell);
    found.push(up);
  }
  assert(found.length >= 2, "only one shell");
  assertEquals(found, found.map(() => found[0]));
});
