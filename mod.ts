/**
 * pvpn: a layer-3 VPN over any SSH server, as one Linux binary and as this
 * library.
 *
 * ```ts ignore
 * import { connect } from "@pvpn/pvpn";
 *
 * await using tunnel = await connect("root@work", {
 *   type: "ssh-3",
 *   routes: ["192.168.0.0/16"],
 * });
 * console.log(`${tunnel.device} is up`);
 * ```
 *
 * Who writes a tunnel type starts at {@linkcode TunnelPlugin}, and tests it
 * with `testPlugin` of `@pvpn/pvpn/testing`.
 *
 * @module
 */
export { check, connect, Connection, disconnect, list } from "./lib/api.ts";
export type {
  CheckOptions,
  ConnectOptions,
  WorkOptions,
} from "./lib/api_options.ts";
export type { CheckReport, CheckRow } from "./lib/check.ts";
export type { TunnelInfo } from "./lib/list.ts";
export * from "./plugin.ts";
