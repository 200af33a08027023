/** Completions, as make install puts them, in the shells that they are for. */
import { assertEquals } from "@std/assert";
import { OPTIONS } from "../lib/options.ts";
import { AUTO } from "../lib/registry.ts";
import { plugins } from "../plugins/mod.ts";
import { Lab, type Node } from "./lab/lab.ts";
import { Terminal } from "./lab/terminal.ts";
import { asAlice, homeOf } from "./lab/user.ts";
import { lacks, run } from "./tools_tree.ts";

/** What a user has: profiles, tunnels, hosts, plugins. */
const SETUP = `
set -eu
mkdir -p /etc/pvpn /run/pvpn
touch /etc/pvpn/work.conf '/etc/pvpn/$(touch evil).conf'
touch /run/pvpn/tun7.json
chmod 700 /run/pvpn
ip tuntap add dev tun5 mode tun
mount --bind "$1/usr/local/share" /usr/local/share
mount -t tmpfs plugins /usr/local/lib
mkdir -p /usr/local/lib/pvpn/plugins
touch /usr/local/lib/pvpn/plugins/mine.js
for home in "$2" "$3"; do
  mkdir -p "$home/.ssh"
  echo 'Host proxy' >>"$home/.ssh/config"
  echo 'known.example ssh-ed25519 AAAA' >>"$home/.ssh/known_hosts"
done
`;

/** How a shell is started so that it completes, and shows what it was given. */
interface Shell {
  readonly command: string;
  /** A file that it reads at its start, and what is in it. */
  readonly start: readonly [string, string];
}

const SHOW = "printf '[%s]' \"$@\"; echo;";
const SHELLS: Readonly<Record<string, Shell>> = {
  bash: {
    command: "bash --rcfile /tmp/shell/bashrc -i",
    start: [
      "bashrc",
      `. /usr/share/bash-completion/bash_completion
bind 'set enable-bracketed-paste off'
pvpn() { ${SHOW} }; sudo() { shift; pvpn "$@"; }
PS1='READY'`,
    ],
  },
  zsh: {
    command: "env ZDOTDIR=/tmp/shell zsh -d -i",
    start: [
      ".zshrc",
      `autoload -Uz compinit && compinit -u -D
unsetopt zle_bracketed_paste prompt_sp beep
pvpn() { ${SHOW} }; sudo() { shift; pvpn "$@" }
PS1=READY`,
    ],
  },
  fish: {
    command: "env XDG_DATA_DIRS=/usr/local/share:/usr/share " +
      "fish -i -C 'source /tmp/shell/start.fish'",
    start: [
      "start.fish",
      `function pvpn; printf '[%s]' $argv; echo; end
function sudo; pvpn $argv[2..]; end
function fish_prompt; printf READY; end
function fish_title; end`,
    ],
  },
};

/** What is typed, tabs and all, and the words that it must become. */
const TYPED: readonly (readonly [string, ...string[]])[] = [
  ["pvpn --dry\t", "--dry-run"],
  ["pvpn -l --js\t", "-l", "--json"],
  ["pvpn -t ssh-g\t", "-t", "ssh-gso"],
  ["pvpn --type mi\t", "--type", "mine"],
  ["pvpn --ipv6 bl\t", "--ipv6", "block"],
  ["pvpn -i an\t", "-i", "any:any"],
  ["pvpn --ssh-user ali\t", "--ssh-user", "alice"],
  ["pvpn -t ssh-3 @w\t", "-t", "ssh-3", "@work"],
  ["pvpn pro\t", "proxy"],
  ["pvpn --json --check pro\t", "--json", "--check", "proxy"],
  ["pvpn root@kno\t", "root@known.example"],
  ["pvpn -s kno\t", "-s", "known.example"],
  ["pvpn -n proxy def\t", "-n", "proxy", "default"],
  ["pvpn -t ssh-3 --mtu 1400 proxy def\t"]
    .concat("-t", "ssh-3", "--mtu", "1400", "proxy", "default") as [string],
  ["sudo pvpn -t ssh-g\t", "-t", "ssh-gso"],
];

const missing = await lacks("bash", "dh_bash-completion", "zsh", "fish");
const ignore = Deno.uid() !== 0 || missing !== "";

async function prepare(lab: Lab): Promise<Node> {
  const { client, dir } = lab;
  const installed = await run(
    ["make", "-s", "install-data", `DESTDIR=${dir}/install`],
  );
  assertEquals(installed.code, 0, installed.all);
  const argv = [`${dir}/install`, client.home, homeOf(client)];
  await client.ok(["sh", "-c", SETUP, "sh", ...argv]);
  await client.ok(["mkdir", "/tmp/shell"]);
  for (const { start: [name, text] } of Object.values(SHELLS)) {
    await client.writeFile(`/tmp/shell/${name}`, `${text}\n`);
  }
  return client;
}

const words = (list: readonly string[]) => list.map((w) => `[${w}]`).join("");

/** Starts a shell on a terminal. */
async function start(client: Node, command: string): Promise<Terminal> {
  const size = "stty rows 100 cols 200";
  const terminal = new Terminal(client, `${size}; exec ${command}`);
  await terminal.sees(/READY/);
  terminal.clear();
  return terminal;
}

async function end(terminal: Terminal): Promise<void> {
  await terminal.type("exit");
  await terminal.ended();
}

/** Types lines; each must become what it says. */
async function types(
  terminal: Terminal,
  lines: typeof TYPED,
): Promise<void> {
  for (const [line, ...expected] of lines) {
    // The last word is where it ends.
    await terminal.type(`${line} .`);
    await terminal.sees(/\[\.\][^]*READY/);
    const shown = [...terminal.shown.matchAll(/(?:\[[^\][\n]+\])+\[\.\]/g)];
    assertEquals(shown.at(-1)?.[0], words([...expected, "."]), terminal.shown);
    terminal.clear();
  }
}

const BASH_OFFERS = `. /usr/share/bash-completion/bash_completion
_completion_loader pvpn; read -ra COMP_WORDS <<<"$1"
[[ $1 != *' ' ]] || COMP_WORDS+=('')
COMP_LINE=$1 COMP_POINT=\${#1} COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_pvpn; printf '%s\n' "\${COMPREPLY[@]}"`;

/** All that a shell offers for the end of a line, one a line. */
async function offers(
  client: Node,
  name: string,
  line: string,
): Promise<string[]> {
  if (name !== "zsh") {
    const argv = name === "bash"
      ? ["bash", "-c", BASH_OFFERS, "bash", line]
      : ["fish", "-c", "function pvpn; end; complete -C $argv[1]", line];
    const env = { XDG_DATA_DIRS: "/usr/local/share:/usr/share" };
    const lines = (await client.ok(argv, { env })).trim().split("\n");
    // fish also has --stop=, as the value may be left out.
    return [...new Set(lines.map((line) => line.split(/=?\t/)[0]!))].sort();
  }
  // It tells nobody but who looks at it: ^D lists, ^U clears the line.
  const terminal = await start(client, SHELLS.zsh!.command);
  await terminal.press(`${line}\x04\x15echo $((6*7))\n`);
  await terminal.sees(/^42\r$/m);
  await end(terminal);
  // deno-lint-ignore no-control-regex
  const lines = terminal.shown.replaceAll(/\x1b\[[\d;?]*[a-zA-Z]/g, "")
    .split(/\r?\n/);
  // WORD  WORD  -- what they are
  return lines.slice(1).flatMap((line) =>
    / -- /.test(line) ? line.split(" -- ")[0]!.trim().split(/ +/) : []
  ).sort();
}

const flags = OPTIONS.filter(({ group }) => group !== undefined).flatMap(
  ({ short, long }) => [...short ? [`-${short}`] : [], `--${long}`],
);

Deno.test({
  name: ignore
    ? `completions in their shells (needs root ${missing})`
    : "completions in their shells",
  ignore,
  async fn(t) {
    await using lab = await Lab.up({ jump: false, user: true });
    const client = await prepare(lab);
    for (const [name, { command }] of Object.entries(SHELLS)) {
      await t.step(`${name} completes what is typed`, async () => {
        const terminal = await start(client, command);
        await types(terminal, TYPED);
        await types(terminal, [["pvpn -S tu\t", "-S", "tun7"]]);
        await end(terminal);
      });
      await t.step(
        `${name} shows who is not root what could be a tunnel`,
        async () => {
          const words = asAlice(client, []).join(" ");
          const terminal = await start(client, `${words} ${command}`);
          await types(terminal, [["pvpn -S tu\t", "-S", "tun5"]]);
          await end(terminal);
        },
      );
      await t.step(`${name} offers all options, and all types`, async () => {
        assertEquals(await offers(client, name, "pvpn -"), flags.sort());
        assertEquals(
          await offers(client, name, "pvpn -t "),
          [...plugins.map(({ type }) => type), AUTO, "mine"].sort(),
        );
      });
    }
    const run = ["/", client.home, homeOf(client)].map((dir) => `${dir}/evil`);
    assertEquals((await client.run(["ls", ...run])).stdout, "");
  },
});
