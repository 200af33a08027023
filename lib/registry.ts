/**
 * Tunnel types by name.
 *
 * @module
 */
import { UsageError } from "./errors.ts";
import type { TunnelPlugin } from "./tunnel.ts";
import { INTERFACE_VERSION } from "./tunnel.ts";

/** The type that is used where `-t` is not given. */
export const DEFAULT_TYPE = "ppp";

/** The tunnel types of a program. */
export class Registry {
  readonly #plugins = new Map<string, TunnelPlugin>();

  /**
   * @param plugins The types; a later one of the same name is refused.
   * @throws {TypeError} Where one is not written to this interface.
   */
  constructor(plugins: readonly TunnelPlugin[]) {
    for (const plugin of plugins) {
      const { type, version, device } = plugin;
      if (!/^[a-z0-9][a-z0-9-]*$/.test(type) || this.#plugins.has(type)) {
        throw new TypeError(`Cannot register tunnel type "${type}"`);
      }
      if (version !== INTERFACE_VERSION || !/^[a-z]{1,8}$/.test(device)) {
        throw new TypeError(`Cannot register "${type}": wrong interface`);
      }
      this.#plugins.set(type, plugin);
    }
  }

  /** All types, in the order in which they were registered. */
  get plugins(): readonly TunnelPlugin[] {
    return [...this.#plugins.values()];
  }

  /**
   * The plugin of a type.
   *
   * @throws {UsageError} Where there is none; it names those that there are.
   */
  get(type: string): TunnelPlugin {
    const plugin = this.#plugins.get(type);
    if (plugin !== undefined) return plugin;
    const known = [...this.#plugins.keys()];
    throw new UsageError(
      `unknown tunnel type "${type}"`,
      `the types are: ${known.join(", ")}; choose with -t TYPE`,
    );
  }
}
