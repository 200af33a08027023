/** The compiled binary, run on the client of a lab. */
import { fromFileUrl, resolve } from "@std/path";
import type { Lab } from "./lab.ts";
import type { RunOptions, RunResult } from "./node.ts";

/**
 * Where the binary is: PVPN_BINARY, or what `make` leaves in the repository,
 * or, where this is no repository's file, what is in PATH. A folder below /tmp
 * is fine, but not /tmp itself, which nodes do not share.
 */
export function pvpnBinary(): string {
  const binary = Deno.env.get("PVPN_BINARY");
  if (binary) return resolve(binary);
  const built = new URL("../../pvpn", import.meta.url);
  if (built.protocol === "file:") return fromFileUrl(built);
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  const found = folders.map((folder) => `${folder}/pvpn`).find(isFile);
  if (found !== undefined) return found;
  throw new Error("pvpn is not in PATH: name it with PVPN_BINARY");
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs `pvpn ARGS...` on the client. */
export function pvpn(
  lab: Lab,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return lab.client.run([pvpnBinary(), ...args], options);
}
