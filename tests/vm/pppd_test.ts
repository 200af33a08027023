/**
 * Real pppd over ssh between two nodes, without pvpn: what tests of type ppp
 * stand on, and the facts about pppd that the plugin stands on.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import type { Lab } from "../lab/lab.ts";
import { suite } from "../e2e/helpers.ts";
import { eventually } from "../e2e/running.ts";

const test = suite({ jump: false });

const OPTIONS = "noauth nodetach nodefaultroute noccp novj noipv6 asyncmap 0 " +
  "ip-up-script /nonexistent ip-down-script /nonexistent";

/**
 * A pppd on the client, its peer on the server. What `pty` starts would write
 * its errors into the log, were it not for another descriptor.
 */
class Pppd implements AsyncDisposable {
  readonly pid: number;
  #log = "";
  #errors = "";
  readonly #ended: Promise<Deno.CommandStatus>;

  constructor(readonly lab: Lab, remote: string) {
    const child = lab.client.spawn([
      ...["sh", "-c", 'exec 3>&2; exec pppd "$@"', "sh"],
      ...`${OPTIONS} silent child-timeout 1 10.9.9.1:10.9.9.2`.split(" "),
      ...["pty", `exec ssh root@server '${remote}' 2>&3`],
    ]);
    this.pid = lab.client.pidOf(child);
    this.#ended = Promise.all([
      child.status,
      this.#read(child.stdout, (text) => this.#log += text),
      this.#read(child.stderr, (text) => this.#errors += text),
    ]).then(([status]) => status);
  }

  async #read(
    stream: ReadableStream<Uint8Array>,
    take: (text: string) => void,
  ): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
    }
  }

  /** Waits until pppd has logged something. */
  async logged(pattern: RegExp): Promise<void> {
    const end = performance.now() + deadline(10_000);
    while (!pattern.test(this.#log)) {
      assert(performance.now() < end, `not logged: ${pattern}: ${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async ended(): Promise<{ code: number; log: string; errors: string }> {
    const { code } = await this.#ended;
    return { code, log: this.#log, errors: this.#errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.client.kill(this.pid, "SIGKILL");
    await this.#ended;
    // What pppd never removes, and what it cannot when it is killed.
    for (const node of [this.lab.client, this.lab.server]) {
      await eventually(node, ["sh", "-c", "! pgrep -x 'pppd|ssh'"], 5000);
      await node.ok(["sh", "-c", "rm -f /run/ppp*.pid /run/pppd2.tdb"]);
    }
  }
}

test("pppd carries packets over ssh", async (lab) => {
  await using pppd = new Pppd(lab, `exec pppd notty ${OPTIONS}`);
  await pppd.logged(/^local {2}IP address 10\.9\.9\.1\n/m);
  await pppd.logged(/^remote IP address 10\.9\.9\.2\n/m);
  await pppd.logged(/^Using interface ppp0\n/m);
  await eventually(lab.client, ["ping", "-c1", "-W1", "10.9.9.2"], 5000);
  await lab.client.kill(pppd.pid, "SIGTERM");
  assertMatch((await pppd.ended()).log, /^Terminating on signal 15\n/m);
});

test("the peer's words come out on pppd's stderr, not in its log", async (lab) => {
  await using pppd = new Pppd(lab, "echo no pppd here >&2; exit 9");
  const { code, log, errors } = await pppd.ended();
  assertEquals([code, errors], [16, "no pppd here\n"]);
  assertMatch(log, /^Modem hangup\n/m);
});

for (const who of ["client", "server"] as const) {
  test(`a pppd killed on the ${who} ends all of both sides`, async (lab) => {
    await using pppd = new Pppd(lab, `exec pppd notty ${OPTIONS}`);
    await pppd.logged(/^local {2}IP address/m);
    await lab[who].ok(["pkill", "-KILL", "-o", "-x", "pppd"]);
    await pppd.ended();
    for (const node of [lab.client, lab.server]) {
      await eventually(node, ["sh", "-c", "! pgrep -x 'pppd|ssh'"], 5000);
      assertEquals((await node.run(["ip", "link", "show", "ppp0"])).code, 1);
    }
  });
}
