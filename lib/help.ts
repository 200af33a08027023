/**
 * The text of `--help`, from the option table.
 *
 * @module
 */
import { OPTION_GROUPS, type OptionGroup, OPTIONS } from "./options.ts";
import { AUTO, AUTO_SUMMARY } from "./registry.ts";

/** The text of `--help`. */
export function helpText(
  types: readonly { readonly type: string; readonly summary: string }[],
): string {
  const lines = (group: OptionGroup) =>
    OPTIONS.filter((option) => option.group === group).map((option) => {
      const { short, long, value, optional, help } = option;
      const shown = optional ? `[${value}]` : value;
      const left = `  ${short ? `-${short}, ` : "    "}--${long}` +
        (value ? ` ${shown}` : "");
      const right = help.split("\n").join(`\n${" ".repeat(30)}`);
      return left.length > 28
        ? `${left}\n${" ".repeat(30)}${right}`
        : left.padEnd(30) + right;
    }).join("\n");
  const groups = Object.entries(OPTION_GROUPS).map(([group, title]) =>
    `${title}:\n${lines(group as OptionGroup)}`
  ).join("\n\n");
  const auto = { type: AUTO, summary: AUTO_SUMMARY };
  const known = [...types, auto].map(({ type, summary }) =>
    `  ${type.padEnd(28)}${summary}`
  ).join("\n");
  return `Usage: pvpn [OPTION]... SSH-HOST [ROUTE]...
       pvpn --stop [DEVICE] | --list | --types | --check [SSH-HOST]
A VPN through any SSH server: routes networks through SSH-HOST.

SSH-HOST is [USER@]HOST as for ssh, a name in ~/.ssh/config included; @NAME
stands for what /etc/pvpn/NAME.conf says, a profile.
ROUTE is a network such as 192.168.0.0/16, an address, or default.
SSH_ARGS in the environment holds more options for ssh.

${groups}

Types (and those of plugins: pvpn --types):
${known}

Examples:
  pvpn -D -t ssh-3 root@proxy default       all traffic, on public Wi-Fi
  pvpn -t ssh-3 root@work 192.168.0.0/16    a private network
  pvpn -S tun0                              stop that tunnel

See pvpn(8) for all of it.
`;
}
