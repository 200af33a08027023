/**
 * Tunnel types that the program does not have: files in JavaScript, each
 * loaded only when it is asked for by name.
 *
 * A compiled program imports any file, whatever its permissions are. So it is
 * looked at before: only root may be able to change it, or where its path
 * leads. The files that a plugin itself imports are not looked at.
 *
 * @module
 */
import { COMMANDS, PLUGIN_COMMANDS, type Runner } from "./command.ts";
import { ExitCode, PvpnError, UsageError } from "./errors.ts";
import { pluginFault, TYPE_REGEXP } from "./plugin_check.ts";
import { existing, trustedPath } from "./trusted_path.ts";
import type { TunnelPlugin } from "./tunnel.ts";

/** Where plugins are, beside `$PVPN_PLUGINS`. */
export const PLUGIN_FOLDERS: readonly string[] = [
  "/usr/local/lib/pvpn/plugins",
  "/usr/lib/pvpn/plugins",
];

/** A plugin's file; what is behind the last slash is its type. */
const FILE_REGEXP = /^(.*)\/([^/]+)\.js$/;

const LIST = 'for dir; do for file in "$dir"/*.js; do ' +
  '[ ! -e "$file" ] || printf "%s\\n" "$file"; done; done';

/** Whether Deno's permissions let this program run another. */
function mayRun(command: string): boolean {
  const asked = { name: "run", command } as const;
  return Deno.permissions.querySync(asked).state === "granted";
}

/** Finds and loads plugins. */
export class PluginLoader {
  readonly #runner: Runner;
  readonly #import: (url: string) => Promise<unknown>;
  readonly #first: string | undefined;
  readonly #folders: readonly string[];

  /**
   * @param runner Looks at files.
   * @param load Imports a module. The program's: a package that is published
   * has only imports that are known beforehand.
   * @param first `$PVPN_PLUGINS`: the folder that is looked into first.
   * @param folders The others; {@linkcode PLUGIN_FOLDERS} but in tests.
   */
  constructor(
    runner: Runner,
    load: (url: string) => Promise<unknown>,
    first?: string,
    folders: readonly string[] = PLUGIN_FOLDERS,
  ) {
    this.#runner = runner;
    this.#import = load;
    this.#first = first || undefined;
    this.#folders = folders;
  }

  /**
   * The folders that are looked into, in this order.
   *
   * @throws {UsageError} Where `$PVPN_PLUGINS` is no absolute path.
   */
  get folders(): readonly string[] {
    if (this.#first === undefined) return this.#folders;
    if (!/^\/[\w .,:+@/-]*$/.test(this.#first)) {
      throw new UsageError(
        `PVPN_PLUGINS is ${JSON.stringify(this.#first)}, which is not the ` +
          "absolute path of a folder",
        "name one folder: PVPN_PLUGINS=/opt/pvpn/plugins",
      );
    }
    return [this.#first.replace(/(?!^)\/+$/, ""), ...this.#folders];
  }

  /** The file of a type; `undefined` where there is none. */
  async find(type: string): Promise<string | undefined> {
    const files = this.folders.map((folder) => `${folder}/${type}.js`);
    return (await existing(files, this.#runner))[0];
  }

  /** The files of all types; of two with one name, the one that is used. */
  async list(): Promise<string[]> {
    const argv = ["sh", "-c", LIST, "pvpn", ...this.folders];
    const { stdout } = await this.#runner.query(argv);
    const types = new Map<string, string>();
    for (const file of stdout.split("\n")) {
      const type = typeOf(file);
      if (TYPE_REGEXP.test(type) && !types.has(type)) types.set(type, file);
    }
    return [...types.values()];
  }

  /**
   * Loads a plugin.
   *
   * @param file Its file, as {@linkcode PluginLoader.find} gave it.
   * @param commands The programs that the program's own types run.
   * @throws {PvpnError} Where others than root could change it, it is no
   * plugin, or runs a program that this one may not run.
   */
  async load(
    file: string,
    commands: readonly string[],
  ): Promise<TunnelPlugin> {
    const path = await this.#resolve(file);
    const refused = (why: string, hint: string, cause?: unknown) =>
      new PvpnError(ExitCode.usage, `cannot use ${file}: ${why}`, [hint], {
        cause,
      });
    let module: { default?: unknown };
    try {
      const url = new URL("file:///");
      url.pathname = path.replaceAll("%", "%25");
      module = await this.#import(url.href) as typeof module;
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw refused(
        said.split("\n")[0]!,
        "it has to be JavaScript, and may import @pvpn/pvpn and files beside it",
        error,
      );
    }
    const plugin = module.default as TunnelPlugin;
    const fault = pluginFault(plugin) ??
      (plugin.type === typeOf(file)
        ? undefined
        : `its type is "${plugin.type}", which its file is not named after`);
    if (fault !== undefined) {
      throw refused(fault, "see docs/plugins.md for what a plugin is");
    }
    const known = new Set([...COMMANDS, ...PLUGIN_COMMANDS, ...commands]);
    const other = plugin.commands.find((name) =>
      !known.has(name) && !mayRun(name)
    );
    if (other !== undefined) {
      throw refused(
        `it runs "${other}", which this pvpn was not built to run`,
        `build one that is: make PLUGINS=${file}`,
      );
    }
    return plugin;
  }

  /** The path without links; of a file that only root can change. */
  async #resolve(file: string): Promise<string> {
    const [, folder = ""] = FILE_REGEXP.exec(file) ?? [];
    const found = await trustedPath(file, this.#runner);
    const home = await trustedPath(folder || "/", this.#runner);
    if (found === undefined || home === undefined) {
      throw new PvpnError(ExitCode.usage, `there is no file "${file}"`, [
        "was it removed while its tunnel was up?",
      ]);
    }
    if (!found.path.startsWith(`${home.path.replace(/^\/$/, "")}/`)) {
      throw new PvpnError(
        ExitCode.usage,
        `"${file}" is a link that leads out of its folder, to "${found.path}"`,
        [`copy it instead: cp --remove-destination ${found.path} ${file}`],
      );
    }
    if (!found.isFile) {
      throw new PvpnError(ExitCode.usage, `"${file}" is not a regular file`);
    }
    return found.path;
  }
}

/** The type that a plugin's file is named after. */
function typeOf(file: string): string {
  return FILE_REGEXP.exec(file)?.[2] ?? "";
}
