/**
 * The tunnel types that are built in.
 *
 * @module
 */
import type { TunnelPlugin } from "../plugin.ts";
import { ppp } from "./ppp.ts";
import { ssh3 } from "./ssh_3.ts";
import { sshGso } from "./ssh_gso.ts";

/** All of them, in the order in which `--help` lists them. */
export const plugins: readonly TunnelPlugin[] = [ppp, ssh3, sshGso];
