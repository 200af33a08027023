/**
 * The options of the command line: one table, from which parsing, `--help`,
 * completions (tools/completions.ts) and the manual (tools/man.ts) derive.
 *
 * @module
 */
import { DEFAULT_TYPE } from "./registry.ts";
import { IPV6_MODES } from "./state.ts";

/** An option of the command line. */
export interface Option {
  /** The name behind `--`. */
  readonly long: string;
  /** The letter behind `-`. */
  readonly short?: string;
  /** What its value is called; without it, it takes none. */
  readonly value?: string;
  /** Whether the value may be left out. */
  readonly optional?: boolean;
  /** All values that it takes, where it takes no others. */
  readonly choices?: readonly string[];
  /** Whether it may be given more than once. */
  readonly repeatable?: boolean;
  /** What it does, in one or two lines. */
  readonly help: string;
  /** Under which heading `--help` lists it; not at all without. */
  readonly group?: OptionGroup;
}

/** The headings under which options are listed, in this order. */
export const OPTION_GROUPS = {
  connect: "Connecting",
  tunnels: "Tunnels",
  general: "General",
} as const;

/** One of {@linkcode OPTION_GROUPS}. */
export type OptionGroup = keyof typeof OPTION_GROUPS;

/** All options. */
export const OPTIONS: readonly Option[] = [
  {
    long: "type",
    short: "t",
    value: "TYPE",
    help: `tunnel type (default ${DEFAULT_TYPE}); see below`,
    group: "connect",
  },
  {
    long: "ip",
    short: "i",
    value: "IP1:IP2",
    help: "addresses of this end and of the server's;\n" +
      "any chooses a free one (default any:any)",
    group: "connect",
  },
  {
    long: "first-ssh-hop",
    short: "s",
    value: "HOST",
    help: "the SSH server that packets really go to, if pvpn\n" +
      "cannot see it: behind a reverse tunnel",
    group: "connect",
  },
  {
    long: "inherit-dns",
    short: "D",
    help: "ask for names where the server asks, through the\n" +
      "tunnel, and search in the domains that it has",
    group: "connect",
  },
  {
    long: "dns",
    value: "ADDR[,ADDR]",
    help: "ask these resolvers, through the tunnel",
    group: "connect",
  },
  {
    long: "dns-domain",
    value: "DOMAIN",
    repeatable: true,
    help: "ask them for names in DOMAIN only (with\n" +
      "systemd-resolved); can be repeated",
    group: "connect",
  },
  {
    long: "ssh-user",
    value: "USER",
    help: "whose ssh runs, with that user's keys, agent and\n" +
      "configuration (under sudo, yours)",
    group: "connect",
  },
  {
    long: "exclude",
    short: "x",
    value: "NETWORK",
    repeatable: true,
    help: "keep NETWORK out of the tunnel; can be repeated",
    group: "connect",
  },
  {
    long: "ipv6",
    value: "MODE",
    choices: IPV6_MODES,
    help: "IPv6 under default: tunnel, which blocks it where\n" +
      "the server has none; block; or leave",
    group: "connect",
  },
  {
    long: "allow-fallback",
    help: "let its traffic out in clear while it is down",
    group: "connect",
  },
  {
    long: "mtu",
    value: "BYTES",
    help: "MTU of the tunnel, 576 to 16380 (default: what the\n" +
      "type has, mostly 1500); auto: 16380 to the\n" +
      "server's own end, 1500 beyond it",
    group: "connect",
  },
  {
    long: "parallel",
    value: "N",
    help: "carry it by N ssh processes (ssh-gso), which share\n" +
      "its flows: faster on lines that lose packets",
    group: "connect",
  },
  {
    long: "auto-nets",
    short: "N",
    help: "route the networks that the server itself reaches",
    group: "connect",
  },
  {
    long: "nat",
    help: "have the server forward and masquerade while the\n" +
      "tunnel is up",
    group: "connect",
  },
  {
    long: "foreground",
    short: "f",
    help: "stay, and reconnect from here; ^C stops the tunnel",
    group: "connect",
  },
  {
    long: "dry-run",
    short: "n",
    help: "print the commands for both ends; change nothing",
    group: "connect",
  },
  {
    long: "stop",
    short: "S",
    value: "DEVICE",
    optional: true,
    help: "stop the tunnel DEVICE, or all tunnels",
    group: "tunnels",
  },
  { long: "list", short: "l", help: "list the tunnels", group: "tunnels" },
  {
    long: "watch",
    help: "with --list: again every second, until ^C",
    group: "tunnels",
  },
  {
    long: "json",
    help: "with --list, --check: in a form for programs",
    group: "tunnels",
  },
  {
    long: "check",
    help: "tell what is missing, here and on SSH-HOST",
    group: "tunnels",
  },
  {
    long: "recover",
    help: "undo what died while connecting; what was up\nstays closed",
    group: "tunnels",
  },
  {
    long: "types",
    help: "list the tunnel types, those of plugins too",
    group: "tunnels",
  },
  {
    long: "quiet",
    short: "q",
    help: "say nothing but errors, and what was asked for",
    group: "general",
  },
  {
    long: "debug",
    short: "d",
    help: "print every command that is run, on both ends",
    group: "general",
  },
  {
    long: "help",
    short: "h",
    help: "print this help",
    group: "general",
  },
  {
    long: "version",
    short: "v",
    help: "print the version",
    group: "general",
  },
  { long: "reconnect", value: "DEVICE", help: "what a keeper runs" },
];
