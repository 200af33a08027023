/** What tests of `-t auto` share. */
import { assertEquals, assertMatch } from "@std/assert";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import type { RunResult } from "../lab/node.ts";
import { pvpn } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import { sshd, without } from "./failure_cases.ts";
import { Tunnel } from "./helpers.ts";

/** Whom they connect, and what for. */
export const NET = ["root@server", "10.88.0.0/24"];

/** What was said of the choice. */
export function choice({ stderr }: RunResult): string[] {
  return stderr.split("\n").filter((line) => line.startsWith("pvpn: auto: "))
    .map((line) => line.slice("pvpn: auto: ".length));
}

/** Connects; that must work, with so many logins, and give that type. */
export async function up(
  lab: Lab,
  type: string,
  logins: number,
): Promise<{ tunnel: Tunnel; lines: string[] }> {
  const before = await lab.logins();
  const result = await pvpn(lab, ["-t", "auto", ...NET]);
  assertEquals(result.code, 0, result.stderr);
  assertEquals(await lab.logins() - before, logins);
  const device = result.stdout.split(" ")[0]!;
  const list = (await pvpn(lab, ["-l"])).stdout;
  assertMatch(list, new RegExp(`^${device} +${type} +up `, "m"));
  assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
  return { tunnel: new Tunnel(lab, device), lines: choice(result) };
}

/** Connects where the server can do no type; that takes one login. */
export async function failForAll(lab: Lab): Promise<RunResult> {
  const restores = [
    await sshd("PermitTunnel no")(lab),
    await without("server", "perl")(lab),
    await without("server", "pppd")(lab),
  ];
  const before = await lab.logins();
  const failed = await pvpn(lab, ["-t", "auto", ...NET]);
  assertEquals(await lab.logins() - before, 1);
  for (const restore of restores.reverse()) await restore();
  return failed;
}
