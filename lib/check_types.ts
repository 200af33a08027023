/**
 * What `--check` makes of what tunnel types need.
 *
 * @module
 */
import type { CheckRow } from "./check.ts";
import { inWordsOf } from "./check_rows.ts";
import type { Facts } from "./probe.ts";
import { isOlder } from "./release.ts";
import type { RemoteCheck, TunnelPlugin } from "./tunnel.ts";

/** What there is, for a type. */
export function forType(
  { type }: Pick<TunnelPlugin, "type">,
  text: string,
): string {
  return `for ${type}` + (text ? `: ${text}` : "");
}

/** The OpenSSH that types need, where OpenSSH forwards their packets. */
export function sshRows(
  plugins: readonly Pick<TunnelPlugin, "type" | "openssh">[],
  end: CheckRow["end"],
  { values, login }: Facts,
): CheckRow[] {
  const here = end === "client";
  const software = (here ? values.get("ssh") : login.software) ?? "unknown";
  const [, version] = /^OpenSSH_([\w.]+)/.exec(software) ?? [];
  const name = here ? "openssh-client" : "openssh-server";
  const install = inWordsOf(values.get("manager"), `apt install ${name}`);
  return plugins.flatMap((plugin): CheckRow[] => {
    const { openssh, type } = plugin;
    if (openssh === undefined) return [];
    const old = isOlder(version ?? "", openssh);
    const row: CheckRow = {
      ...{ end, type, required: true, name: `OpenSSH ${openssh}` },
      status: old === undefined ? "warning" : old ? "missing" : "ok",
      detail: forType(plugin, version ?? software),
      fix: old === false ? [] : [install],
    };
    if (login.allowed?.includes("port-forwarding") ?? true) return [row];
    return [row, {
      ...{ end, type, required: true, name: "key", status: "warning" },
      detail: forType(
        plugin,
        "authorized_keys lets it forward nothing, which newer sshds take for " +
          "tunnels, too",
      ),
      fix: ['in ~/.ssh/authorized_keys, "port-forwarding" behind "restrict"'],
    }];
  });
}

/** What else types need on the server. */
export function typeRows(
  wanted: readonly {
    readonly plugin: TunnelPlugin;
    readonly check: RemoteCheck;
  }[],
  { findings, values }: Facts,
): CheckRow[] {
  return wanted.map(({ plugin, check }, index) => {
    const { status, text } = findings.get(index) ?? { status: 2, text: "" };
    const ok = status === 0;
    return {
      ...{ end: "server", name: check.name, type: plugin.type } as const,
      status: ok ? "ok" : status === 2 ? "warning" : "missing",
      detail: forType(plugin, text),
      fix: ok ? [] : [inWordsOf(values.get("manager"), check.hint)],
      required: true,
    };
  });
}
