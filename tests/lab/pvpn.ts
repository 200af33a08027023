/** The compiled binary, run on the client of a lab. */
import { fromFileUrl, resolve } from "@std/path";
import type { Lab } from "./lab.ts";
import type { RunOptions, RunResult } from "./node.ts";

/**
 * Where the binary is: PVPN_BINARY, or what `make` leaves in the repository.
 * A folder below /tmp is fine, but not /tmp itself, which nodes do not share.
 */
export function pvpnBinary(): string {
  const binary = Deno.env.get("PVPN_BINARY");
  return binary
    ? resolve(binary)
    : fromFileUrl(new URL("../../pvpn", import.meta.url));
}

/** Runs `pvpn ARGS...` on the client. */
export function pvpn(
  lab: Lab,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return lab.client.run([pvpnBinary(), ...args], options);
}
