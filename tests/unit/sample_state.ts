/** A tunnel's state, for tests to change. */
import type { TunnelState } from "../../lib/state.ts";

/** A state with all of its parts. */
export const STATE: TunnelState = {
  version: 1,
  device: "tun0",
  type: "ssh-3",
  host: "root@proxy",
  sshArgs: ["-p", "2222", "-i", "my key"],
  routes: ["default", "192.168.0.0/16", "192.0.2.1"],
  mtu: 1500,
  slot: 3,
  phase: "up",
  owner: { pid: 4711, start: "123456" },
  pair: "10.1.0.1:10.1.0.2",
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
    {
      ...{ kind: "ip", family: 6, object: "rule" },
      words: [
        "priority",
        "11000",
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
