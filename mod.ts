/**
 * pvpn: a layer-3 VPN over any SSH server.
 *
 * @module
 */
export * from "./plugin.ts";
