/**
 * What `--check` makes of what it found: a row each, and what mends it.
 *
 * @module
 */
import type { CheckRow, Probed } from "./check.ts";
import { type Facts } from "./probe.ts";
import { isOlder } from "./release.ts";
import { formatMilliseconds } from "./units.ts";
import type { User } from "./user.ts";

/** Has rules by port (`ip rule ... dport`). */
const MIN_LINUX = "4.17";
/** Seconds by which the clocks may differ: certificates and logs mind more. */
const CLOCK_LIMIT = 60;

type Row = Omit<CheckRow, "end" | "type" | "required" | "fix"> & {
  readonly fix?: readonly string[];
  readonly required?: boolean;
};

const rowOf = (end: CheckRow["end"]) => (row: Row): CheckRow => ({
  ...{ end, type: null, required: false, fix: [] },
  ...row,
});

// Names of packages that differ from Debian's, by package manager.
const PACKAGES: ReadonlyMap<string, string> = new Map([
  ["dnf iproute2", "iproute"],
  ["dnf openssh-client", "openssh-clients"],
  ["zypper openssh-client", "openssh-clients"],
  ["pacman openssh-client", "openssh"],
  ["pacman openssh-server", "openssh"],
  ["apk openssh-client", "openssh-client-default"],
]);
const INSTALL: ReadonlyMap<string, string> = new Map([
  ["dnf", "dnf install"],
  ["zypper", "zypper install"],
  ["pacman", "pacman -S"],
  ["apk", "apk add"],
]);

/** A hint `apt install PACKAGE` in words of the package manager that is there. */
export function inWordsOf(manager: string | undefined, hint: string): string {
  const how = INSTALL.get(manager ?? "");
  if (how === undefined) return hint;
  return hint.replace(
    /\bapt install ([\w.+-]+)/,
    (_, name: string) => `${how} ${PACKAGES.get(`${manager} ${name}`) ?? name}`,
  );
}

/** Rows that are the same on both ends. */
function commonRows({ values, resolvers }: Facts, required: boolean): Row[] {
  const manager = values.get("manager");
  const ip = values.get("ip");
  const stub = values.get("stub");
  const congestion = values.get("congestion") ?? "unknown";
  const install = inWordsOf(manager, "apt install iproute2");
  return [
    ip === undefined
      ? {
        ...{ name: "iproute2", status: "missing", required },
        ...{ detail: "no ip program", fix: [install] },
      }
      : {
        ...{ name: "iproute2", status: "ok", required },
        detail: ip.replace(/^ip utility, (?:iproute2-)?/, ""),
      },
    resolvers.length > 0
      ? { name: "resolvers", status: "ok", detail: resolvers.join(" ") }
      : {
        ...{ name: "resolvers", status: "warning" },
        detail: stub === undefined
          ? "none"
          : `only ${stub}, which asks others that are not known`,
        fix: ["cat /etc/resolv.conf"],
      },
    {
      ...{ name: "congestion control", status: "ok" },
      detail: congestion === "bbr"
        ? congestion
        : `${congestion}; bbr is faster where packets are lost`,
    },
  ];
}

/** What there is on this machine. */
export function localRows(
  facts: Facts,
  user: User | undefined,
  root: boolean,
): CheckRow[] {
  const ssh = facts.values.get("ssh");
  const agent = Deno.env.get("SSH_AUTH_SOCK") !== undefined;
  const kernel = facts.values.get("kernel") ?? "";
  const programs = facts.values.get("programs")?.split(" ") ?? [];
  const install = (name: string) =>
    inWordsOf(facts.values.get("manager"), `apt install ${name}`);
  const rows: Row[] = [
    root ? { name: "root", status: "ok", detail: "you are" } : {
      ...{ name: "root", status: "warning" },
      detail: "only root can connect",
      fix: ["sudo pvpn ..."],
    },
    isOlder(kernel, MIN_LINUX)
      ? {
        ...{ name: "Linux", status: "missing", required: true },
        detail: `${kernel} has no rules by port; ${MIN_LINUX} has`,
        fix: ["uname -r"],
      }
      : { name: "Linux", status: "ok", required: true, detail: kernel },
    ssh === undefined
      ? {
        ...{ name: "ssh", status: "missing", detail: "not installed" },
        required: true,
        fix: [install("openssh-client")],
      }
      : {
        ...{ name: "ssh", status: "ok", required: true },
        detail: ssh.split(",")[0]! +
          (user === undefined ? "" : `, run as ${user.name}`),
      },
    agent ? { name: "agent", status: "ok", detail: "SSH_AUTH_SOCK is set" } : {
      ...{ name: "agent", status: "ok" },
      detail: user === undefined
        ? "none"
        : "none: sudo hides it; sudo --preserve-env=SSH_AUTH_SOCK keeps it",
    },
    ...user === undefined || programs.includes("setpriv") ? [] : [{
      ...{ name: "setpriv", status: "missing", required: true } as const,
      ...{ detail: "not installed", fix: [install("util-linux")] },
    }],
    programs.includes("nft")
      ? { name: "nft", status: "ok", detail: "for -D" }
      : {
        ...{ name: "nft", status: "warning" },
        detail: "not installed: with -D, a program that asks other resolvers " +
          "than the system's gets past the tunnel",
        fix: [install("nftables")],
      },
    ...commonRows(facts, true),
  ];
  return rows.map(rowOf("client"));
}

function loginRow({ facts, once, socket }: Probed): Row {
  const { method = "unknown", agent } = facts.login;
  const far = socket?.rtt === undefined
    ? ""
    : `, ${formatMilliseconds(socket.rtt)} away`;
  if (once !== undefined) {
    return {
      ...{ name: "login", status: "warning", required: true },
      detail: `by ${method}; it cannot reconnect by itself, as nobody types ` +
        `${once.what} then`,
      fix: once.fix,
    };
  }
  return {
    ...{ name: "login", status: "ok", required: true },
    detail: `by ${method}${agent ? " of the agent" : ""}${far}`,
  };
}

function natRow({ values }: Facts): Row {
  const firewall = values.get("firewall");
  const flock = values.get("programs")?.split(" ").includes("flock");
  if (firewall && flock) return { name: "NAT", status: "ok", detail: firewall };
  const lacking = firewall ? "no flock" : "neither nft nor iptables";
  const name = firewall ? "util-linux" : "nftables";
  return {
    ...{ name: "NAT", status: "warning", detail: `${lacking}, for --nat` },
    fix: [inWordsOf(values.get("manager"), `apt install ${name}`)],
  };
}

/** What there is on the server. */
export function serverRows(host: string, probed: Probed): CheckRow[] {
  const { facts, socket, now } = probed;
  const { values, login } = facts;
  const root = values.get("uid") === "0";
  const name = host.replace(/^.*@/, "");
  const off = (["forward4", "forward6"] as const).filter((key) =>
    values.get(key) === "0"
  );
  const behind = Number(values.get("clock")) - now;
  const { software = "unknown" } = login;
  const rows: Row[] = [
    loginRow(probed),
    {
      name: "sshd",
      status: software.startsWith("OpenSSH") ? "ok" : "warning",
      detail: software,
    },
    root
      ? {
        ...{ name: "root", status: "ok", required: true },
        detail: "the login is root's",
      }
      : {
        ...{ name: "root", status: "missing", required: true },
        detail:
          `the login is ${
            values.get("user") || "another"
          }'s, and only root may ` +
          "change the server's network",
        fix: [`pvpn --check root@${name}`],
      },
    { name: "Linux", status: "ok", detail: values.get("kernel") ?? "unknown" },
    ...commonRows(facts, true),
    off.length === 0
      ? { name: "forwarding", status: "ok", detail: "IPv4 and IPv6" }
      : {
        ...{ name: "forwarding", status: "warning" },
        detail: off.length === 2
          ? "off: without --nat, only the server itself answers"
          : `off for IPv${off[0] === "forward4" ? 4 : 6}, but with --nat`,
        fix: off.map((key) =>
          key === "forward4"
            ? "sysctl -w net.ipv4.ip_forward=1"
            : "sysctl -w net.ipv6.conf.all.forwarding=1"
        ),
      },
    natRow(facts),
    {
      ...{ name: "MTU", status: "ok" },
      detail: socket?.mtu === undefined
        ? "unknown"
        : `${socket.mtu} on the way there, MSS ${socket.mss}`,
    },
    !(Math.abs(behind) > CLOCK_LIMIT)
      ? { name: "clock", status: "ok", detail: "as here" }
      : {
        ...{ name: "clock", status: "warning" },
        detail: `${Math.round(Math.abs(behind))} s ` +
          (behind > 0 ? "ahead" : "behind"),
        fix: ["timedatectl set-ntp true"],
      },
  ];
  return rows.map(rowOf("server"));
}
