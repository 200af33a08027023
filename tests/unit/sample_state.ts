/** Samples of what goes through the core, for tests to change. */
import type { ConnectRequest } from "../../lib/connect.ts";
import { type Pair, parsePairRequest } from "../../lib/pair.ts";
import type { RemoteRequest } from "../../lib/remote_script.ts";
import type { TunnelState } from "../../lib/state.ts";

/** What `pvpn HOST` asks for. */
export const REQUEST: ConnectRequest = {
  ...{ type: "ppp", host: "h", sshArgs: [], routes: [], exclude: [] },
  ...{ ipv6: "tunnel", fallback: false, foreground: false },
  ...{ autoNets: false, nat: false },
  pair: { local: "any", peer: "any" },
};

/** What a session asks of the server. */
export const REMOTE: RemoteRequest = {
  ...{ token: "pvpn-0123", mtu: 1500, resume: false, trace: false },
  ...{ pairs: [parsePairRequest("10.1.0.1:10.1.0.2") as Pair] },
  pair6: undefined,
};

/** The state of a tunnel that has only just been claimed. */
export const NEW: TunnelState = {
  ...{ version: 1, device: "tun0", type: "ssh-3", host: "h", sshArgs: [] },
  ...{ routes: [], exclude: [], ipv6: "tunnel", fallback: false, mtu: 1500 },
  ...{ autoNets: false, nat: false },
  ...{ slot: 0, phase: "connecting", reconnects: 0, undo: [] },
};

/** A state with all of its parts. */
export const STATE: TunnelState = {
  version: 1,
  device: "tun0",
  type: "ssh-3",
  host: "root@proxy",
  sshArgs: ["-p", "2222", "-i", "my key"],
  routes: ["default", "192.168.0.0/16", "192.0.2.1"],
  exclude: ["192.168.1.0/24"],
  ipv6: "tunnel",
  pair6: "fd01:203:405::1,fd01:203:405::2",
  fallback: false,
  autoNets: true,
  found: { routes: ["10.9.0.0/16"], exclude: ["10.9.1.0/24"] },
  nat: true,
  mtu: 1500,
  slot: 3,
  phase: "up",
  owner: { pid: 4711, start: "123456" },
  pair: "10.1.0.1:10.1.0.2",
  dns: { inherit: true, addresses: ["10.0.0.53"], domains: ["corp.test"] },
  names: {
    ...{ owners: ["resolved", "file"], guard: true },
    inUse: { addresses: ["10.0.0.53", "fd00::53"], domains: ["lab.test"] },
  },
  firstHop: "192.0.2.9",
  user: {
    ...{ name: "alice", uid: 1000, gid: 100 },
    ...{ home: "/home/alice", shell: "/bin/bash" },
  },
  server: { address: "2001:db8::1", port: 22 },
  since: "2026-01-01T00:00:00.000Z",
  reconnects: 2,
  problem: "the connection was lost",
  undo: [
    { kind: "ip", family: 4, object: "link", words: ["dev", "tun0"] },
    { kind: "process", pid: 4712, start: "123457" },
    { kind: "resolver", owner: "guard", device: "tun0" },
    { kind: "resolver", owner: "file", device: "tun0" },
    {
      ...{ kind: "ip", family: 6, object: "rule" },
      words: [
        "priority",
        "11001",
        "table",
        "main",
        "suppress_prefixlength",
        "0",
      ],
    },
    {
      ...{ kind: "ip", family: 4, object: "route" },
      words: ["default", "via", "10.1.0.2", "dev", "tun0", "table", "10003"],
    },
  ],
};
