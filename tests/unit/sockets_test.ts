import { assertEquals } from "@std/assert";
import { connections, parseSockets, socketOf } from "../../lib/sockets.ts";
import { query, withRunner } from "./fake_runner.ts";

// ss of iproute2 6.1, Linux 6.18; the second line of each is cut.
const SS =
  `0      0      10.77.0.2:48912 10.77.0.1:22  users:(("ssh",pid=12,fd=3))
\t cubic wscale:10,10 rto:208 rtt:5.164/10.258 mss:1448 pmtu:1500 rcvmss:536 advmss:1448 cwnd:15 bytes_sent:142848 minrtt:0.063
0      0      [fd77::2]:48914 [fd77::1]:2222  users:(("ssh",pid=13,fd=3),("x",pid=14,fd=0))
\t ts sack bbr wscale:7,7 rto:204 rtt:0.1/0.05 mss:1428 pmtu:1500 \u0020
0      0      10.77.0.2:1 10.77.0.1:3
\t reno rto:204 mss:1448
0      0      10.77.0.2:1 10.77.0.1:4
`;
const ARGV = ["ss", "-Htinp", "state", "established"];

Deno.test("parseSockets() reads the line behind each connection", () => {
  const [first, second, third, fourth, ...more] = parseSockets(SS);
  assertEquals(first, {
    owners: [12],
    peer: { address: "10.77.0.1", port: 22 },
    ...{ rtt: 5.164, mss: 1448, mtu: 1500, congestion: "cubic" },
  });
  assertEquals(second, {
    owners: [13, 14],
    peer: { address: "fd77::1", port: 2222 },
    ...{ rtt: 0.1, mss: 1428, mtu: 1500, congestion: "bbr" },
  });
  assertEquals(third?.congestion, "reno");
  assertEquals(third?.rtt, undefined);
  assertEquals(fourth, {
    ...{ owners: [], peer: { address: "10.77.0.1", port: 4 } },
    ...{ rtt: undefined, mss: undefined, mtu: undefined },
    congestion: undefined,
  });
  assertEquals(more, []);
});

Deno.test("socketOf() takes the first process that has one, to that port", async () => {
  await withRunner([query(ARGV, { stdout: SS })], async (runner) => {
    const sockets = await connections(runner);
    assertEquals(socketOf(sockets, [1, 14, 12])?.peer.port, 2222);
    assertEquals(socketOf(sockets, [14, 12], 22)?.peer.port, 22);
    assertEquals(socketOf(sockets, [14], 22), undefined);
    assertEquals(socketOf(sockets, []), undefined);
  });
});
