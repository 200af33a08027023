/**
 * Status for people: `-l`, and `--types`.
 *
 * @module
 */
import type { TunnelInfo, TunnelList } from "./list.ts";
import type { Broken, Found } from "./registry.ts";
import {
  align,
  type Color,
  colored,
  oneLine,
  type Style,
  wrap,
} from "./table.ts";
import {
  formatBytes,
  formatDuration,
  formatMilliseconds,
  formatTime,
} from "./units.ts";

const COLOR_OF: Readonly<Record<TunnelInfo["state"], Color>> = {
  ...{ connecting: "yellow", up: "green", reconnecting: "yellow" },
  ...{ stopping: "yellow", dead: "red" },
};

const text = (lines: readonly string[]) =>
  lines.map((line) => line.trimEnd() + "\n").join("");

/** The tunnels: a line each, what more there is to it, and what is wrong. */
export function formatList(
  { time, tunnels }: TunnelList,
  style: Style,
): string {
  const { columns } = style;
  const [head, ...rows] = align([
    ["DEVICE", "TYPE", "STATE", "ADDRESSES", "HOST"],
    ...tunnels.map(({ device, type, state, local, peer, host }) => [
      ...[device, type, state],
      local === null || peer === null ? "-" : `${local}:${peer}`,
      host,
    ]),
  ], columns);
  const lines = tunnels.flatMap((tunnel, index) => {
    const row = [...rows[index]!];
    row[2] = colored(row[2]!, COLOR_OF[tunnel.state], style);
    const more = details(tunnel, Date.parse(time));
    return [
      row.join("  "),
      ...more.flatMap((line) => wrap(line, "  ", columns)),
    ];
  });
  const problems = tunnels.flatMap(problemsOf)
    .flatMap((line) => wrap(line, "", columns));
  return text([head!.join("  "), ...lines, ...problems]);
}

function details(tunnel: TunnelInfo, now: number): string[] {
  const { local6, peer6, routes, exclude, resolvers, domains } = tunnel;
  const { receivedBytes, sentBytes } = tunnel;
  const rate = (bytes: number | null) =>
    bytes === null ? "" : ` (${formatBytes(bytes)}/s)`;
  return [
    ...local6 === null ? [] : [`IPv6 ${local6} to ${peer6}`],
    ...routes.length === 0 ? [] : [
      `routes ${routes.join(" ")}` +
      (exclude.length === 0 ? "" : ` without ${exclude.join(" ")}`),
    ],
    ...resolvers.length === 0 ? [] : [
      `resolvers ${resolvers.join(" ")}` +
      (domains.length === 0 ? "" : ` for ${domains.join(" ")}`),
    ],
    ...[history(tunnel, now)].filter(Boolean),
    ...receivedBytes === null || sentBytes === null ? [] : [
      `received ${formatBytes(receivedBytes)}` +
      `${rate(tunnel.receivedBytesPerSecond)}, sent ${formatBytes(sentBytes)}` +
      rate(tunnel.sentBytesPerSecond),
    ],
  ];
}

/** Since when it is up, how often it came back, and how far the server is. */
function history(
  { state, since, reconnects, server, rttMilliseconds }: TunnelInfo,
  now: number,
): string {
  const up = state === "up" && since !== null
    ? [
      `up ${formatDuration((now - Date.parse(since)) / 1000)}`,
      `since ${formatTime(since)}`,
    ]
    : [];
  const back = reconnects === 0
    ? []
    : [`came back ${reconnects === 1 ? "once" : `${reconnects} times`}`];
  const rtt = rttMilliseconds === null || server === null ? [] : [
    `RTT ${formatMilliseconds(rttMilliseconds)} to ${server.address}`,
  ];
  return [...up, ...back, ...rtt].join(", ");
}

function problemsOf({ device, state, problem }: TunnelInfo): string[] {
  return [
    ...problem === null ? [] : [`${device}: ${problem}`],
    ...state !== "dead" ? [] : [
      `${device}: what looked after it has been killed, and its routes are ` +
      `closed; to open them: pvpn -S ${device}`,
    ],
    ...state !== "stopping" ? [] : [
      `${device}: it is being stopped, or that was cut; to have it done: ` +
      `pvpn -S ${device}`,
    ],
  ];
}

/** The tunnel types, one line each, and below why some cannot be used. */
export function formatTypes(types: readonly (Found | Broken)[]): string {
  const rows = types.map((found) =>
    "plugin" in found
      ? [
        found.plugin.type,
        found.file ?? "built in",
        found.plugin.commands.join(","),
        found.plugin.summary,
      ]
      : [found.type, found.file, "-", "cannot be used"]
  );
  const problems = types.flatMap((found) =>
    "problem" in found ? [oneLine(`${found.type}: ${found.problem}`)] : []
  );
  const table = align([["TYPE", "SOURCE", "RUNS", "SUMMARY"], ...rows]);
  return text([...table.map((row) => row.join("  ")), ...problems]);
}
