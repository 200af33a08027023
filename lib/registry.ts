/**
 * Tunnel types by name: those of the program, and those that are loaded when
 * somebody asks for them.
 *
 * @module
 */
import { PvpnError, UsageError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { pluginFault, TYPE_REGEXP } from "./plugin_check.ts";
import type { PluginLoader } from "./plugin_loader.ts";
import type { TunnelPlugin } from "./tunnel.ts";

/** The type that is used where `-t` is not given. */
export const DEFAULT_TYPE = "ppp";

/** The word that stands for the fastest type that both ends can do. */
export const AUTO = "auto";

/** The types that {@linkcode AUTO} tries, the fastest first. */
const AUTO_TYPES = ["ssh-gso", "ssh-3", "ppp"] as const;

/** What `--help` says of {@linkcode AUTO}. */
export const AUTO_SUMMARY = "the fastest of these that both ends can do";

/** A tunnel type, and where it is from. */
export interface Found {
  /** The type. */
  readonly plugin: TunnelPlugin;
  /** The file that it was loaded from; none where the program has it. */
  readonly file?: string;
}

/** A tunnel type that cannot be used. */
export interface Broken {
  /** Its name. */
  readonly type: string;
  /** Its file. */
  readonly file: string;
  /** Why not. */
  readonly problem: string;
}

/** The tunnel types of a program. */
export class Registry {
  readonly #plugins = new Map<string, TunnelPlugin>();
  readonly #loader: PluginLoader | undefined;

  /**
   * @param plugins The types that the program has; a later one of the same
   * name is refused.
   * @param loader Loads others; without it, there are none.
   * @throws {TypeError} Where one is not written to this interface.
   */
  constructor(plugins: readonly TunnelPlugin[], loader?: PluginLoader) {
    this.#loader = loader;
    for (const plugin of plugins) {
      const fault = pluginFault(plugin) ??
        (this.#plugins.has(plugin.type) ? "it is there already" : undefined);
      if (fault !== undefined) {
        const name = JSON.stringify(plugin?.type);
        throw new TypeError(`Cannot register tunnel type ${name}: ${fault}`);
      }
      this.#plugins.set(plugin.type, plugin);
    }
  }

  /** All types that the program has, in the order of registration. */
  get plugins(): readonly TunnelPlugin[] {
    return [...this.#plugins.values()];
  }

  /**
   * Finds a type, and loads it where the program does not have it.
   *
   * @param type The type's name.
   * @param file The file that it was loaded from before.
   * @throws {PvpnError} Where there is none, or it cannot be used.
   */
  async find(type: string, file?: string): Promise<Found> {
    const plugin = this.#plugins.get(type);
    if (plugin !== undefined) return { plugin };
    const types = [...this.#plugins.keys(), AUTO];
    const near = nearest(type, types);
    const known = [
      ...near === undefined ? [] : [`did you mean -t ${near}?`],
      `the types are: ${types.join(", ")}; choose with -t TYPE`,
    ];
    if (!TYPE_REGEXP.test(type)) {
      throw new UsageError(
        `"${type}" is not a tunnel type: it has other characters than a-z, ` +
          "0-9 and - in it",
        ...known,
      );
    }
    const found = file ?? await this.#loader?.find(type);
    if (found === undefined || this.#loader === undefined) {
      const looked = this.#loader?.folders.map((folder) => `${folder}/`) ?? [];
      throw new UsageError(
        `unknown tunnel type "${type}"`,
        ...known,
        ...looked.length > 0
          ? [`no ${type}.js is in ${looked.join(", ")}`]
          : [],
      );
    }
    return {
      plugin: await this.#loader.load(found, this.#commands()),
      file: found,
    };
  }

  /**
   * The types that a word behind `-t` stands for, in the order in which they
   * are tried.
   *
   * @throws {PvpnError} See {@linkcode Registry.find}.
   */
  async choices(type: string): Promise<readonly Found[]> {
    const types = type === AUTO ? AUTO_TYPES : [type];
    return await Promise.all(types.map((type) => this.find(type)));
  }

  /** All types, loaded ones too, and why those that cannot be used cannot. */
  async all(): Promise<(Found | Broken)[]> {
    const found: (Found | Broken)[] = this.plugins.map((plugin) => ({
      plugin,
    }));
    for (const file of await this.#loader?.list() ?? []) {
      const [type = ""] = file.split("/").at(-1)!.split(".");
      if (this.#plugins.has(type)) continue; // never loaded
      try {
        found.push(await this.find(type, file));
      } catch (error) {
        if (!(error instanceof PvpnError)) throw error;
        found.push({ type, file, problem: error.message });
      }
    }
    return found;
  }

  /** The programs that the types of the program run. */
  #commands(): readonly string[] {
    return this.plugins.flatMap(({ commands }) => commands);
  }
}
