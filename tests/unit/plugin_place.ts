/** Folders for plugins: in /run, whose path only root can change. */
import { assertEquals } from "@std/assert";
import type { PvpnError } from "../../lib/errors.ts";
import { PluginLoader } from "../../lib/plugin_loader.ts";
import { Registry } from "../../lib/registry.ts";
import { INTERFACE_VERSION } from "../../lib/tunnel.ts";
import { failureOf, system } from "./helpers.ts";

/** Imports as the program does. */
export const load = (url: string): Promise<unknown> => import(url);

/** A user who is not root. */
export const NOBODY = 65534;

/** A plugin's text; `more` are members, as they are written. */
export const text = (more: Record<string, string> = {}) => {
  const members = {
    ...{ version: `${INTERFACE_VERSION}`, type: '"mine"', summary: '"a"' },
    ...{ device: '"tun"', commands: '["ip"]', checks: "() => []" },
    ...{ open: "async () => {}", ...more },
  };
  const lines = Object.entries(members).map(([key, value]) =>
    `${key}: ${value}`
  );
  return `export default { ${lines.join(", ")} };\n`;
};

/** A folder for plugins, and one that is not. */
export interface Place {
  readonly plugins: string;
  readonly outside: string;
  /** Writes a file. */
  write(path: string, content?: string): Promise<void>;
  /** What the type "mine" is found to be; or why not. */
  find(): Promise<string>;
  refusal(): Promise<PvpnError>;
}

/** A test with such a place, which only root can make. */
export function rootTest(
  name: string,
  body: (place: Place) => Promise<void>,
): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({
    name: ignore ? `${name} (needs root)` : name,
    ignore,
    async fn() {
      const dir = await Deno.makeTempDir({ dir: "/run", prefix: "pvpn-test-" });
      try {
        await Deno.chmod(dir, 0o755);
        const plugins = `${dir}/plugins`;
        const outside = `${dir}/outside`;
        for (const folder of [plugins, outside]) await Deno.mkdir(folder);
        const registry = () =>
          new Registry([], new PluginLoader(system, load, plugins, []));
        await body({
          ...{ plugins, outside },
          write: (path, content = text()) => Deno.writeTextFile(path, content),
          async find() {
            const { plugin, file = "" } = await registry().find("mine");
            assertEquals(file, `${plugins}/mine.js`);
            return plugin.summary;
          },
          refusal: () => failureOf(() => registry().find("mine")),
        });
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
