/** Asks the inet node's servers, and tells by whose address they were asked. */
import { deadline } from "./deadline.ts";
import type { Node } from "./node.ts";
import { ECHO_PORT } from "./servers.ts";

/** What became of an attempt to reach the echo server. */
export interface Reached {
  /** The address that the server saw, when it was reached. */
  from?: string;
  /** Why it was not. */
  error?: string;
}

const TCP =
  'exec 3<>"/dev/tcp/$0/$1" && read -r ok <&3 && read -r who <&3 && ' +
  'echo "$ok $who"';
const UDP = 'exec 3<>"/dev/udp/$0/$1" && echo ping >&3 && head -c 5 <&3';

/** The last words of bash, e.g. "Connection refused". */
function reason(stderr: string): string {
  return stderr.trim().split(": ").at(-1) ?? "";
}

async function ask(
  node: Node,
  script: string,
  address: string,
  seconds: number,
): Promise<{ answer: string; error: string }> {
  const limit = String(deadline(seconds));
  const argv = ["timeout", limit, "bash", "-c", script, address];
  const { code, stdout, stderr } = await node.run([
    ...argv,
    String(ECHO_PORT),
  ]);
  const error = code === 124 ? "timed out" : reason(stderr) || `exit ${code}`;
  return { answer: stdout.trim(), error };
}

/** Connects from a node to the echo server at an address of inet. */
export async function reach(
  node: Node,
  address: string,
  seconds = 2,
): Promise<Reached> {
  const { answer, error } = await ask(node, TCP, address, seconds);
  return answer.startsWith("ok ") ? { from: answer.slice(3) } : { error };
}

/** Sends a datagram to the echo server; whether it came back. */
export async function reachUdp(
  node: Node,
  address: string,
  seconds = 2,
): Promise<boolean> {
  return (await ask(node, UDP, address, seconds)).answer === "ping";
}
