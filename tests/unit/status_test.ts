import { assert, assertEquals } from "@std/assert";
import type { TunnelInfo } from "../../lib/list.ts";
import { formatList } from "../../lib/status.ts";
import { PLAIN, type Style } from "../../lib/table.ts";

const INFO: TunnelInfo = {
  ...{ device: "tun0", type: "ssh-3", state: "up", host: "root@proxy" },
  ...{ local: "10.1.0.1", peer: "10.1.0.2", local6: null, peer6: null },
  ...{
    routes: [],
    exclude: [],
    resolvers: [],
    domains: [],
    mtu: 1500,
    parallel: 1,
  },
  ...{ server: { address: "192.0.2.1", port: 22 }, problem: null },
  ...{ since: "2026-01-01T10:00:00.000Z", reconnects: 0 },
  ...{ receivedBytes: 1_234_567, sentBytes: 50_000, rttMilliseconds: 8.31 },
  ...{ receivedBytesPerSecond: 3000, sentBytesPerSecond: 0 },
};
const NARROW: Style = { terminal: true, columns: 80, color: false };
const HEAD = "DEVICE  TYPE   STATE  ADDRESSES          HOST";

function lines(tunnels: readonly TunnelInfo[], style = PLAIN): string[] {
  const time = "2026-01-01T12:14:00.000Z";
  const text = formatList({ version: 1, time, tunnels }, style);
  // The clock's own zone.
  return text.replace(/since [\d-]{10} [\d:]{5}/g, "since THEN").split("\n");
}

Deno.test("formatList() tells what there is to tell of a tunnel", () => {
  assertEquals(lines([{ ...INFO, routes: ["default"] }]), [
    HEAD,
    "tun0    ssh-3  up     10.1.0.1:10.1.0.2  root@proxy",
    "  routes default",
    "  up 2 h 14 min, since THEN, RTT 8.3 ms to 192.0.2.1",
    "  received 1.2 MB (3.0 kB/s), sent 50 kB (0 B/s)",
    "",
  ]);
  const more: Partial<TunnelInfo> = {
    ...{ local6: "fd01::1", peer6: "fd01::2", reconnects: 3 },
    ...{ routes: ["default", "fd88::/64"], exclude: ["192.168.1.0/24"] },
    ...{ resolvers: ["10.0.0.53"], domains: ["work.example"] },
    ...{ receivedBytesPerSecond: null, sentBytesPerSecond: null },
  };
  assertEquals(lines([{ ...INFO, ...more }]).slice(2, -1), [
    "  IPv6 fd01::1 to fd01::2",
    "  routes default fd88::/64 without 192.168.1.0/24",
    "  resolvers 10.0.0.53 for work.example",
    "  up 2 h 14 min, since THEN, came back 3 times, RTT 8.3 ms to 192.0.2.1",
    "  received 1.2 MB, sent 50 kB",
  ]);
});

Deno.test("formatList() says little of what is not known", () => {
  const nothing: Partial<TunnelInfo> = {
    ...{ state: "connecting", local: null, peer: null, since: null },
    ...{ server: null, rttMilliseconds: null, receivedBytes: null },
  };
  assertEquals(lines([{ ...INFO, ...nothing }]), [
    "DEVICE  TYPE   STATE       ADDRESSES  HOST",
    "tun0    ssh-3  connecting  -          root@proxy",
    "",
  ]);
  assertEquals(lines([]), ["DEVICE  TYPE  STATE  ADDRESSES  HOST", ""]);
});

Deno.test("formatList() says how a dead tunnel is ended, and why one is not up", () => {
  const device = "ppp10";
  const shown = lines([
    { ...INFO, state: "reconnecting", problem: "the host is not known" },
    { ...INFO, device, state: "dead" },
  ]);
  assertEquals(shown.slice(-3), [
    "tun0: the host is not known",
    "ppp10: what looked after it has been killed, and its routes are closed; " +
    "to open them: pvpn -S ppp10",
    "",
  ]);
  assert(shown.some((line) => /^ppp10 +ssh-3 +dead /.test(line)));
  assert(!shown.some((line) => / up /.test(line)));
});

Deno.test("formatList() fits a terminal, whatever there is to tell", () => {
  const long: TunnelInfo = {
    ...INFO,
    ...{ device: "abcdefgh12", type: "ssh-gso", state: "reconnecting" },
    ...{ local: "100.100.100.101", peer: "100.100.100.102" },
    host: "administrator@a-very-long-name.of.some.department.example",
    routes: Array.from({ length: 20 }, (_, i) => `192.168.${100 + i}.0/24`),
    server: { address: "2001:db8:1111:2222:3333:4444:5555:6666", port: 22 },
    problem: "word ".repeat(60).trim(),
  };
  for (const columns of [80, 100, 132]) {
    const shown = lines([long], { ...NARROW, columns });
    for (const line of shown) assert(line.length <= columns, line);
    const routes = shown.join(" ").replace(/\s+/g, " ");
    assert(
      routes.includes(`routes ${long.routes.join(" ")}`),
      "a route is cut",
    );
  }
  // Nothing is cut where it is read by a program.
  assert(lines([long])[1]?.endsWith(long.host));
});

Deno.test("formatList() lets no text rule the terminal", () => {
  const host = "a\x1b[2J\nb";
  const shown = lines([{ ...INFO, host, problem: "x\ny\x9b" }], NARROW);
  assertEquals(shown.length, 6);
  assertEquals(shown.some((line) => /\p{Cc}/u.test(line)), false);
  const colors = lines([INFO], { ...NARROW, color: true });
  assertEquals(
    colors[1],
    "tun0    ssh-3  \x1b[32mup   \x1b[0m  10.1.0.1:10.1.0.2  root@proxy",
  );
});
