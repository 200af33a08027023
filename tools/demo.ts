/**
 * `make demo`: a tunnel to a throw-away server, as one would see it in a
 * terminal, and the proof that nothing is left of it. Needs root.
 */
import { changes, settled } from "../tests/lab/snapshot.ts";
import { Lab } from "../tests/lab/lab.ts";
import { pvpnBinary } from "../tests/lab/pvpn.ts";

/** A command of the demo and what it must print. */
interface Step {
  /** What the reader is told before. */
  comment: string;
  /** The command as typed. */
  command: string;
  /** What its output must match. */
  expect: RegExp;
  /** Whether it must fail. */
  fails?: boolean;
}

const ASK = "head -n 2 </dev/tcp/10.88.0.9/5200";

const STEPS: readonly Step[] = [
  {
    comment:
      "A client and a server, which has an sshd and a network behind it.\n" +
      "A host in that network says ok, and who asked. The client cannot get there:",
    command: ASK,
    expect: /Connection refused/,
    fails: true,
  },
  {
    comment: "One command, and nothing to install on the server:",
    command: "pvpn -t ssh-3 root@server 10.88.0.0/24",
    expect: /^tun\d+ connected$/m,
  },
  { comment: "", command: "pvpn -l", expect: /^tun\d+\b.*server/m },
  { comment: "", command: "ip route get 10.88.0.9", expect: /dev tun\d+ / },
  {
    comment: "Now the host answers. It sees the server's address:",
    command: ASK,
    expect: /^ok\n10\.88\.0\.1\n$/,
  },
  {
    comment: "And back:",
    command: "pvpn -S",
    expect: /^tun\d+ disconnected$/m,
  },
  { comment: "", command: ASK, expect: /Connection refused/, fails: true },
];

/** Why the demo ends before its time. */
class DemoError extends Error {}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

/** Prints a comment as a shell reads it. */
function say(comment: string): void {
  const lines = comment.split("\n").map((line) => `# ${line}\n`);
  print(`\n${lines.join("")}`);
}

/** Runs a command on the client, as if typed there. */
async function type(lab: Lab, step: Step): Promise<void> {
  if (step.comment) say(step.comment);
  print(`client# ${step.command}\n`);
  const define = 'pvpn() { "$PVPN" "$@"; }; exec 2>&1; ';
  const { code, stdout } = await lab.client.run(
    ["bash", "-c", define + step.command],
    { env: { PVPN: pvpnBinary() } },
  );
  const shown = stdout.replace(/^bash: (line \d+: )?/gm, "bash: ");
  print(shown);
  if ((code !== 0) !== (step.fails ?? false)) {
    throw new DemoError(`exit status ${code} was not expected`);
  }
  if (!step.expect.test(shown)) throw new DemoError(`expected ${step.expect}`);
}

async function demo(): Promise<void> {
  await using lab = await Lab.up({ jump: false });
  const machines = [lab.client, lab.server];
  const before = await Promise.all(machines.map((node) => node.snapshot()));
  for (const step of STEPS) await type(lab, step);
  for (const [i, node] of machines.entries()) {
    const was = before[i] ?? "";
    const left = changes(was, await settled(node, was));
    if (left.length === 0) continue;
    throw new DemoError(`left on the ${node.name}:\n${left.join("\n")}`);
  }
  say(
    "Links, addresses, routes, rules, firewall, sysctls, files and processes:\n" +
      "both machines are as before.",
  );
}

if (import.meta.main) {
  try {
    if (Deno.uid() !== 0) throw new DemoError("only root can make networks");
    await demo();
  } catch (error) {
    if (!(error instanceof DemoError)) throw error;
    await Deno.stderr.write(
      new TextEncoder().encode(`demo: ${error.message}\n`),
    );
    Deno.exitCode = 1;
  }
}
