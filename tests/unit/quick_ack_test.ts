import { assertEquals } from "@std/assert";
import { missingProgram } from "../../lib/command.ts";
import { QuickAck } from "../../lib/quick_ack.ts";
import { FakeRunner } from "./fake_runner.ts";
import { system } from "./helpers.ts";

// As ssh is below its keeper: connects to a port, and prints TCP_NODELAY of its
// socket whenever it gets a line.
const CLIENT = `
use Socket;
$| = 1;
socket my $socket, PF_INET, SOCK_STREAM, 0 or die;
connect $socket, sockaddr_in($ARGV[0], INADDR_LOOPBACK) or die;
print "connected\\n";
print unpack("i", getsockopt $socket, 6, 1), "\\n" while <STDIN>;
`;

// Whoever may trace a process may have its descriptors: not any user, nor
// everybody in a container.
const { status } = await system.query([
  ...["perl", "-e", "exit(0 > syscall 438, syscall(434, getppid, 0), 0, 0)"],
], { anyStatus: true });

Deno.test({
  name: "QuickAck sets options of the connection of ssh, and of no other" +
    (status === 0 ? "" : " (needs pidfd_getfd)"),
  ignore: status !== 0,
  // Nobody reads the status of what stays; the end of its output is waited for.
  ...{ sanitizeOps: false, sanitizeResources: false },
  async fn() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const ports = [other, listener].map(({ addr }) => addr.port);
    const child = new Deno.Command("sh", {
      // Not the last command, or sh would become it.
      args: ["-c", 'perl -e "$0" "$1"; :', CLIENT, String(ports[1])],
      ...{ stdin: "piped", stdout: "piped" },
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const input = child.stdin.getWriter();
    const read = async () => (await lines.read()).value;
    const ask = async () => {
      await input.write(new TextEncoder().encode("\n"));
      return await read();
    };
    assertEquals(await read(), "connected\n");
    for (const [i, port] of ports.entries()) {
      assertEquals(await ask(), "0\n");
      await using quick = new QuickAck(system);
      await quick.received(); // not started yet
      quick.start(child.pid, port!);
      quick.start(child.pid, port!);
      await quick.received();
      await quick[Symbol.asyncDispose]();
      assertEquals(await ask(), `${i}\n`);
    }
    await input.close();
    await child.status;
    await lines.cancel();
    (await listener.accept()).close();
  },
});

Deno.test("QuickAck does nothing where there is no Perl", async () => {
  await using quick = new QuickAck(
    new FakeRunner([], () => {
      throw missingProgram("perl");
    }),
  );
  quick.start(1, 22);
  await quick.received();
});
