/**
 * Does what README.md and pvpn(8) tell a newcomer to do, word by word, on
 * machines that are named as there; what they print must look as it is shown.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { unchanged } from "../e2e/helpers.ts";
import type { Lab, LabOptions } from "../lab/lab.ts";
import { pvpnBinary } from "../lab/pvpn.ts";
import { labTest } from "../lab/suite.ts";
import { asAlice, homeOf } from "../lab/user.ts";
import {
  blocksOf,
  inlineOf,
  literalsOf,
  mismatch,
  type Session,
  stepsOf,
} from "./session.ts";

const LAB: LabOptions = {
  jump: false,
  openTun: true,
  user: true,
  // Of the profile in pvpn(8).
  sshdConfig: ["Port 22", "Port 2222"],
};

/** What `pvpn ...` stands for: what somebody wants, and has read of before. */
const ANYTHING = "-t ssh-3 root@work 192.168.0.0/16";

/** What tests/vm/systemd_test.ts does: there is no systemd in these machines. */
const SYSTEMCTL = /^systemctl enable --now (\S+)$/;

/** What is named without what it is used with; others are whole commands. */
const FRAGMENT = /^pvpn (?:-[nS]|--reconnect)$/;

const read = (path: string) =>
  Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

/** Where pvpn is when it is installed; and keys for root, who has no sudo. */
const INSTALL = `
set -eu
mount -t tmpfs -o mode=755 installed /usr/local/bin
touch /usr/local/bin/pvpn
mount --bind "$1" /usr/local/bin/pvpn
cp "$2"/.ssh/* "$HOME/.ssh"
`;

/** The hosts that commands and profiles name, each as a name of the server. */
async function nameHosts(
  { client, inet }: Lab,
  texts: readonly string[],
): Promise<void> {
  const names = new Set(
    texts.flatMap((text) =>
      [...text.matchAll(/\broot@([\w.-]+)/g)].map(([, name]) => name!)
    ),
  );
  const hosts = await client.readFile("/etc/hosts");
  const list = [...names].join(" ");
  await client.writeFile("/etc/hosts", `${hosts}10.77.0.1 ${list}\n`);
  for (const home of [homeOf(client), client.home]) {
    const path = `${home}/.ssh/known_hosts`;
    const key = (await client.readFile(path)).trim().split(" ").slice(1)
      .join(" ");
    const known = ["22", "2222"].map((port) =>
      [...names].map((name) => port === "22" ? name : `[${name}]:${port}`)
        .join(",")
    );
    await client.writeFile(path, known.map((k) => `${k} ${key}\n`).join(""));
  }
  // The host that is pinged in the private network.
  for (const [, address] of texts.join("\n").matchAll(/ping -c1 (\S+)/g)) {
    await inet.run(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
  }
}

/** Prepares the machines for what some texts tell to do. */
async function prepare(lab: Lab, texts: readonly string[]): Promise<void> {
  const { client } = lab;
  const argv = [pvpnBinary(), homeOf(client)];
  await client.ok(["sh", "-c", INSTALL, "sh", ...argv]);
  await nameHosts(lab, [...texts, ANYTHING]);
}

/** Whether a literal is one; its comments look like commands of root's. */
const isProfile = ({ section, lines }: ReturnType<typeof literalsOf>[0]) =>
  section === "PROFILES" && lines.some((line) => line.startsWith("host "));

/** Writes the profile that pvpn(8) shows where it says that it is. */
async function writeProfile({ client }: Lab, page: string): Promise<void> {
  const profile = literalsOf(page).find(isProfile);
  assert(profile, "PROFILES shows no profile");
  await client.ok(["mkdir", "-p", "/etc/pvpn"]);
  const text = profile.lines.join("\n") + "\n";
  await client.writeFile("/etc/pvpn/work.conf", text);
}

/** Types a command; it must do, and show, what is shown. */
async function follow({ client }: Lab, step: Session[number]): Promise<void> {
  const { prompt, output } = step;
  const command = step.command.replace(/\bpvpn \.\.\.$/, `pvpn ${ANYTHING}`);
  const argv = ["bash", "-c", `exec 2>&1\n${command}`];
  const { code, stdout } = await client.run(
    prompt === "$" ? asAlice(client, argv) : argv,
  );
  const fails = output.some((line) => line.startsWith("pvpn: error: "));
  assertEquals(code !== 0, fails, `${command}: exit status ${code}\n${stdout}`);
  if (output.length === 0) return;
  const actual = stdout.trimEnd().split("\n");
  const why = mismatch(output, actual);
  assert(why === undefined, `${command}: ${why}`);
}

/** Follows sessions, each from where nothing is up to where nothing is. */
async function followAll(
  lab: Lab,
  sessions: readonly Session[],
): Promise<void> {
  for (const session of sessions) {
    await unchanged(lab, async () => {
      for (const step of session) await follow(lab, step);
      // One that leaves a tunnel up shows how to stop it elsewhere.
      const { code, stderr } = await lab.client.run(["pvpn", "-S"]);
      assert(code === 0 || / no tunnel is up\n/.test(stderr), stderr);
    });
  }
}

labTest("README.md: what is shown to be typed works as shown", async (lab) => {
  const readme = await read("README.md");
  const sessions = blocksOf(readme).map(stepsOf).filter((s) => s.length > 0);
  const page = (await read("man/pvpn.8")).replaceAll("\\-", "-");
  const inline = inlineOf(readme, /^(?:sudo (?:\S+ )?)?pvpn /)
    .filter((command) => !FRAGMENT.test(command))
    .map((command) => {
      const prompt = command.startsWith("sudo ") ? "$" : "#";
      return [{ prompt, command, output: [] }];
    });
  await prepare(lab, [readme, page]);
  await writeProfile(lab, page); // what it says of profiles is said there
  await followAll(lab, [...sessions, ...inline]);
  // The page begins with a session that shows what it prints, to its end.
  const steps = sessions[0] ?? [];
  assert(steps.length >= 4 && steps.every(({ output }) => output.length > 0));
  assertEquals(steps.at(-1)?.command, "sudo pvpn -S");
  assert(inline.length >= 5, "README.md has few commands within its text");
}, LAB);

labTest("pvpn(8): what is shown to be typed works as shown", async (lab) => {
  const page = await read("man/pvpn.8");
  const literals = literalsOf(page);
  await prepare(lab, [page.replaceAll("\\-", "-")]);
  await writeProfile(lab, page);
  const typed = ({ lines }: { lines: string[] }) =>
    stepsOf(lines).filter(({ command }) => !SYSTEMCTL.test(command));
  const shown = literals.filter((literal) => !isProfile(literal)).map(typed);
  const sessions = shown.filter((steps) => steps.length > 0);
  const quoted = [...page.matchAll(/^\.Ql (sudo .*)$/gm)]
    .map(([, command = ""]) => [{ prompt: "$", command, output: [] }]);
  assert(quoted.length > 0);
  await followAll(lab, [...sessions, ...quoted]);
  const examples = literals.filter(({ section }) => section === "EXAMPLES");
  assert(examples.length >= 4);
  for (const { lines } of examples) assert(stepsOf(lines).length > 0, lines[0]);
}, LAB);

Deno.test("pvpn(8): the services that it enables can be enabled", async () => {
  const page = await read("man/pvpn.8");
  const units = [...page.matchAll(/systemctl enable --now (\S+)$/gm)]
    .map(([, unit]) => unit!);
  assert(units.length > 0);
  for (const unit of units) {
    const file = `${unit.replace(/@.*/, "@")}.service`;
    assertStringIncludes(
      await read(`contrib/systemd/${file}`),
      "\n[Install]\n",
    );
  }
});

Deno.test("README.md: its other blocks are targets of the Makefile", async () => {
  const makefile = await read("Makefile");
  const blocks = blocksOf(await read("README.md"));
  const others = blocks.filter((block) => stepsOf(block).length === 0);
  assert(others.length > 0);
  for (const line of others.flat()) {
    const [, target] = /^(?:sudo )?make ([\w-]+) +#/.exec(line) ?? [];
    assert(target, `neither a command of a session nor make: ${line}`);
    assertStringIncludes(makefile, `\n${target}:`);
  }
});
