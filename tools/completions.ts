/**
 * Puts what the option table and the tunnel types say into the completions of
 * bash, zsh and fish. tests/unit/completions_test.ts fails while they differ:
 *
 *     tools/with-deno deno run -R=. -W=contrib tools/completions.ts
 */
import { type Option, OPTIONS } from "../lib/options.ts";
import { PLUGIN_FOLDERS } from "../lib/plugin_loader.ts";
import { AUTO, AUTO_SUMMARY } from "../lib/registry.ts";
import { plugins } from "../plugins/mod.ts";
import { rederive, writeAll } from "./derived.ts";

/** What can stand for a value: words, or what the shell looks up. */
type Source = readonly string[] | "types" | "devices" | "hosts" | "users";

/** What may stand behind `-t`. */
const types = [...plugins, { type: AUTO, summary: AUTO_SUMMARY }];

/** By what the value is called in the option table. */
const SOURCES: Readonly<Record<string, Source>> = {
  TYPE: "types",
  DEVICE: "devices",
  HOST: "hosts",
  USER: "users",
  "IP1:IP2": ["any:any"],
  NETWORK: [],
  "ADDR[,ADDR]": [],
  DOMAIN: [],
  BYTES: ["auto"],
  N: ["2", "4", "8"],
};

const listed = OPTIONS.filter(({ group }) => group !== undefined);
const withValue = listed.filter(({ value }) => value !== undefined);
/** Those whose value is the next word, whatever that is. */
const takers = withValue.filter(({ optional }) => !optional);
/** Those beside which there is no SSH-HOST; --check may have one. */
const alone = listed.filter(({ group, long }) =>
  group === "tunnels" && long !== "check" && long !== "json" ||
  long === "help" || long === "version"
);

function sourceOf({ long, value = "", choices }: Option): Source {
  const source = choices ?? SOURCES[value];
  if (source !== undefined) return source;
  throw new Error(`tools/completions.ts: SOURCES lacks ${value} of --${long}`);
}

/** The first part of what `--help` says. */
const brief = ({ help }: Option) => help.replaceAll("\n", " ").split(";")[0]!;

/** A word of bash, zsh and fish. */
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

const flags = ({ short, long }: Option) =>
  short === undefined ? [`--${long}`] : [`-${short}`, `--${long}`];
const all = (options: readonly Option[]) => options.flatMap(flags).join(" ");
const pluginFiles = PLUGIN_FOLDERS.map((folder) => `${folder}/*.js`);

function bash(): Record<string, string[]> {
  const lookUp = (source: Source) =>
    typeof source === "string"
      ? `_pvpn_${source}`
      : ["_pvpn_offer", ...source].join(" ");
  return {
    options: [
      `_pvpn_options=${quote(all(listed))}`,
      "# Those whose value is the next word.",
      `_pvpn_with_value=${quote(` ${all(takers)} `)}`,
      "# Those beside which there is no SSH-HOST.",
      `_pvpn_without_host=${quote(` ${all(alone)} `)}`,
      "",
      "_pvpn_types() {",
      `  _pvpn_offer ${types.map(({ type }) => type).join(" ")}`,
      `  _pvpn_offer_files .js '' ${pluginFiles.join(" \\\n    ")}`,
      "}",
      "",
      "# Offers the values of an option; fails where it has none.",
      "_pvpn_value() {",
      "  case $1 in",
      ...withValue.map((option) =>
        `    ${flags(option).join(" | ")}) ${lookUp(sourceOf(option))} ;;`
      ),
      "    *) return 1 ;;",
      "  esac",
      "}",
    ],
  };
}

function zsh(): Record<string, string[]> {
  // In a specification of _arguments and _describe.
  const plain = (text: string) => text.replaceAll(/[\\:[\]]/g, "\\$&");
  const lookUp = (source: Source) =>
    typeof source === "string"
      ? { hosts: "_ssh_hosts", users: "_users" }[source as string] ??
        `_pvpn_${source}`
      : source.length > 0
      ? `(${source.map(plain).join(" ")})`
      : " "; // a value, but nothing to offer
  const option = (option: Option) => {
    const { short, long, value, optional, repeatable } = option;
    const names = value === undefined || optional
      ? flags(option)
      : [...short ? [`-${short}+`] : [], `--${long}=`];
    // Some stand for themselves, some only not beside SSH-HOST.
    const others = long === "help" || long === "version"
      ? ["-", ":", "*"]
      : alone.includes(option)
      ? [...flags(option), ":", "*"]
      : flags(option);
    const excluded = repeatable ? "*" : `(${others.join(" ")})`;
    const action = value === undefined
      ? ""
      : `${optional ? "::" : ":"}${plain(value)}:${lookUp(sourceOf(option))}`;
    const rest = quote(`[${plain(brief(option))}]${action}`);
    const name = names.length > 1 ? `{${names.join(",")}}` : names[0];
    return `  ${quote(excluded)}${name}${rest} \\`;
  };
  return {
    types: [
      `files=(${pluginFiles.map((files) => `${files}(N:t:r)`).join(" ")})`,
      "types=(",
      ...types.map(({ type, summary }) =>
        `  ${quote(`${plain(type)}:${plain(summary)}`)}`
      ),
      "  ${^files}:plugin",
      ")",
    ],
    options: [
      "_arguments -s -S \\",
      ...listed.map(option),
      "  '1:SSH server or profile:_pvpn_targets' \\",
      "  '*:route:(default)'",
    ],
  };
}

function fish(): Record<string, string[]> {
  const values = (source: Source) => {
    if (typeof source !== "string") return quote(source.join(" "));
    const known: Readonly<Record<string, string>> = {
      hosts: "__fish_print_hostnames",
      users: "__fish_complete_users",
    };
    return quote(`(${known[source] ?? `__pvpn_${source}`})`);
  };
  const lines = listed.flatMap((option) => {
    const { short, long, value, optional } = option;
    const words = ["complete -c pvpn", short && `-s ${short}`, `-l ${long}`]
      .filter(Boolean);
    if (value !== undefined) {
      const source = sourceOf(option);
      if (!optional) words.push("-x");
      if (source.length > 0) words.push(`-a ${values(source)}`);
    }
    const line = `${words.join(" ")} -d ${quote(brief(option))}`;
    if (value === undefined || !optional) return [line];
    const given = `__fish_contains_opt ${short ? `-s ${short} ` : ""}${long}`;
    const next = `-n ${quote(given)} -a ${values(sourceOf(option))}`;
    return [line, `complete -c pvpn ${next}`];
  });
  return {
    types: [
      ...types.map(({ type, summary }) =>
        `printf '%s\\t%s\\n' ${quote(type)} ${quote(summary)}`
      ),
      `set -l files ${pluginFiles.join(" ")}`,
      "__pvpn_files .js $files",
    ],
    options: [
      `set -g __pvpn_with_value ${all(takers)}`,
      `set -g __pvpn_without_host ${all(alone)}`,
      ...lines,
    ],
  };
}

const FOLDER = `${import.meta.dirname}/../contrib/completions`;
const SHELLS = { "pvpn.bash": bash, "_pvpn": zsh, "pvpn.fish": fish };

/** The files, each with the text that it should have. */
export async function completions(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const [name, blocks] of Object.entries(SHELLS)) {
    const path = `${FOLDER}/${name}`;
    const text = await Deno.readTextFile(path);
    files.set(path, rederive(text, "tools/completions.ts", blocks()));
  }
  return files;
}

if (import.meta.main) await writeAll(await completions());
