/**
 * Tests of tunnel types.
 *
 * ```ts ignore
 * import { testPlugin } from "@pvpn/pvpn/testing";
 *
 * testPlugin(new URL("./mine.js", import.meta.url));
 * ```
 *
 * @module
 */
export { type PluginTestOptions, testPlugin } from "./tests/lab/conformance.ts";
