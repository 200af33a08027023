/**
 * Streams through a network: random bytes to the echo server and back, which
 * must be the same bytes. As a program of its own, without the import map, it
 * runs in the network of a node.
 */
import { createHash } from "node:crypto";
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";
import { ECHO_PORT } from "./servers.ts";

const BLOCK = 65536;

/** Random bytes there and back; fails unless they are the same. */
async function stream(address: string, bytes: number): Promise<void> {
  using connection = await Deno.connect({
    hostname: address,
    port: ECHO_PORT,
  });
  const sent = createHash("sha256");
  const got = createHash("sha256");
  // The server says "ok" and who is calling before it echoes.
  let lines = 0;
  let left = bytes;
  const receive = async () => {
    const buffer = new Uint8Array(BLOCK);
    while (left > 0) {
      const count = await connection.read(buffer);
      if (count === null) throw new Error(`${left} bytes are missing`);
      let at = 0;
      while (lines < 2 && at < count) if (buffer[at++] === 10) lines++;
      got.update(buffer.subarray(at, count));
      left -= count - at;
    }
  };
  const send = async () => {
    const block = new Uint8Array(BLOCK);
    for (let todo = bytes; todo > 0;) {
      const part = crypto.getRandomValues(block).subarray(0, todo);
      sent.update(part);
      for (let at = 0; at < part.length;) {
        at += await connection.write(part.subarray(at));
      }
      todo -= part.length;
    }
  };
  await Promise.all([receive(), send()]);
  if (left < 0) throw new Error(`${-left} bytes too many`);
  if (sent.digest("hex") !== got.digest("hex")) throw new Error("other bytes");
}

/**
 * Has a node send random bytes to the echo server at an address, and compares
 * what comes back.
 *
 * @param load how many streams at once, how many bytes in each, and within how
 * many seconds
 * @throws when one stream lost, or changed, a byte
 */
export async function echoes(
  node: Node,
  address: string,
  load: { streams: number; bytes: number; seconds: number },
): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command("nsenter", {
    args: [
      ...[`--target=${node.pid}`, "--net", "--", "timeout"],
      ...[String(deadline(load.seconds)), Deno.execPath()],
      ...["run", "--quiet", "--no-config", "--no-lock", "--allow-net"],
      new URL(import.meta.url).pathname,
      ...[address, String(load.streams), String(load.bytes)],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (code === 0) return;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const why = code === 124 ? "too slow" : text(stdout) + text(stderr);
  throw new Error(`${load.streams} streams to ${address}: ${why}`);
}

if (import.meta.main) {
  const [address = "", streams, bytes] = Deno.args;
  await Promise.all(
    Array.from(
      { length: Number(streams) },
      () => stream(address, Number(bytes)),
    ),
  );
}
