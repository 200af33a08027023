/**
 * What the inet node serves, as a program of its own: a byte that comes back
 * proves the way there, since nothing on the way can answer in its place.
 */
import { createSocket } from "node:dgram";

/** The TCP and UDP port of the echo servers. */
export const ECHO_PORT = 5200;

/** Says "ok" and who is calling, then echoes. */
async function echo(connection: Deno.TcpConn): Promise<void> {
  const who = connection.remoteAddr.hostname.replace(/^::ffff:/, "");
  try {
    await connection.write(new TextEncoder().encode(`ok\n${who}\n`));
    await connection.readable.pipeTo(connection.writable);
  } catch {
    // The caller has gone.
  }
}

async function serveTcp(listener: Deno.Listener): Promise<void> {
  for await (const connection of listener) echo(connection as Deno.TcpConn);
}

function serveUdp(
  address: string,
  port: number,
  answer: (query: Uint8Array) => Uint8Array,
): Promise<void> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (data, from) => {
    socket.send(answer(data), from.port, from.address, () => {});
  });
  return new Promise((resolve) => socket.bind(port, address, resolve));
}

/** Answers 203.0.113.9 for the A record of every name below .test. */
function resolve(query: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = query.indexOf(0, 12) + 5;
  const name = new TextDecoder().decode(query.subarray(12, end - 5));
  const found = name.toLowerCase().endsWith("\x04test");
  const isA = query[end - 3] === 1;
  const flags = found ? [0x85, 0x80] : [0x85, 0x83]; // else: no such name
  const counts = [0, 1, 0, found && isA ? 1 : 0, 0, 0, 0, 0];
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9];
  return Uint8Array.from([
    ...query.subarray(0, 2),
    ...flags,
    ...counts,
    ...query.subarray(12, end),
    ...(found && isA ? record : []),
  ]);
}

if (import.meta.main) {
  serveTcp(Deno.listen({ hostname: "::", port: ECHO_PORT }));
  // An address each, since an answer must come from the one that was asked.
  for (const host of ["10.88.0.9", "203.0.113.9", "fd88::9", "2001:db8::9"]) {
    await serveUdp(host, ECHO_PORT, (data) => data);
    await serveUdp(host, 53, resolve);
  }
  await Deno.stdout.write(new TextEncoder().encode("ready\n"));
}
