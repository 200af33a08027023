/**
 * pvpn as a library: reaches a network through a server for as long as this
 * program runs, and asks a host in it for a line.
 *
 *     sudo deno run -A examples/library.ts root@server 10.88.0.0/24 10.88.0.9:5200
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { connect, PvpnError } from "@pvpn/pvpn";

const [host = "", network = "", target = ""] = Deno.args;
const [hostname = "", port] = target.split(":");

// ^C takes the tunnel down, and ends whatever waits for it.
const interrupted = new AbortController();
const interrupt = () => interrupted.abort();
Deno.addSignalListener("SIGINT", interrupt);

try {
  await using tunnel = await connect(host, {
    type: "ssh-3",
    routes: [network],
    signal: interrupted.signal,
  });
  console.log(`${tunnel.device} is up`);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const answer = connection.readable.pipeThrough(new TextDecoderStream());
  for await (const text of answer) {
    console.log(`${hostname} says ${text.split("\n")[0]}`);
    break;
  }
} catch (error) {
  if (!(error instanceof PvpnError)) throw error;
  console.error([error.message, ...error.hints].join("\n"));
  Deno.exitCode = error.code;
}
Deno.removeSignalListener("SIGINT", interrupt); // it keeps Deno running
