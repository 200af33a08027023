/** What every tunnel type must do, whoever wrote it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { basename, dirname, fromFileUrl } from "@std/path";
import { capture } from "./capture.ts";
import { deadline } from "./deadline.ts";
import { ADDRESS, type Lab, type Node } from "./lab.ts";
import type { RunResult } from "./node.ts";
import { pvpnBinary } from "./pvpn.ts";
import { reach, reachUdp } from "./reach.ts";
import { eventually, type Running, start } from "./running.ts";
import { settled } from "./snapshot.ts";
import { suite } from "./suite.ts";

/** How a plugin is tested. */
export interface PluginTestOptions {
  /**
   * The pvpn binary. Without it, that is `PVPN_BINARY` in the environment, or
   * what `make` has built in the repository, or the one in PATH.
   */
  readonly pvpn?: string;
}

/** Where the client has a plugin that is no part of the binary. */
const FOLDER = "/run/pvpn-plugins";
const HOST = "root@server";
const NETWORK = "10.88.0.0/24";
const IPV6 = "pvpn: IPv6 goes through the tunnel as well\n";

/** What is written down of a tunnel, as far as it is looked at. */
interface State {
  readonly phase: string;
  readonly reconnects: number;
  readonly undo: readonly { readonly kind: string; readonly pid: number }[];
}

/** A tunnel type in a lab. */
class Subject {
  readonly client: Node;
  readonly #env = { PVPN_PLUGINS: FOLDER };

  constructor(
    readonly lab: Lab,
    readonly type: string,
    readonly program: string,
  ) {
    this.client = lab.client;
  }

  /** Runs pvpn. */
  run(...args: readonly string[]): Promise<RunResult> {
    return this.client.run([this.program, ...args], { env: this.#env });
  }

  /** Starts to connect, all commands shown. */
  start(...args: readonly string[]): Running {
    const all = ["-d", "-t", this.type, HOST, ...args];
    return start(this.lab, all, this.#env, this.program);
  }

  /** Connects, which must work; resolves to the device. */
  async connect(...args: readonly string[]): Promise<string> {
    const result = await this.run("-t", this.type, HOST, ...args);
    // The server can carry IPv6: so must the type.
    const told = args.includes("default") ? IPV6 : "";
    assertEquals([result.code, result.stderr], [0, told], result.stderr);
    assertMatch(result.stdout, /^\w+ connected\n$/);
    return result.stdout.split(" ")[0]!;
  }

  /** Stops the one tunnel, which must work. */
  async stop(device: string): Promise<void> {
    const { code, stdout, stderr } = await this.run("-S", device);
    assertEquals([code, stdout, stderr], [0, `${device} disconnected\n`, ""]);
  }

  async state(device: string): Promise<State> {
    return JSON.parse(await this.client.readFile(`/run/pvpn/${device}.json`));
  }

  /** The pids of the tunnel's processes; its keeper is the first. */
  async processes(device: string): Promise<number[]> {
    const { undo } = await this.state(device);
    return undo.flatMap(({ kind, pid }) => kind === "process" ? [pid] : []);
  }

  /** Waits until the tunnel is up again. */
  async comesBack(device: string, times: number): Promise<void> {
    const end = performance.now() + deadline(40_000);
    while (true) {
      const { phase, reconnects } = await this.state(device);
      if (phase === "up" && reconnects === times) return;
      assert(performance.now() < end, `it is ${phase}, not up`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Proves that a host behind the server is reached, and answers much. */
  async carries(address: string): Promise<void> {
    assertEquals(await reach(this.client, address), {
      from: ADDRESS.serverInside,
    });
    assert(await reachUdp(this.client, address), "no datagram came back");
    const script = 'exec 3<>"/dev/tcp/$0/5200"; read -r _ <&3; read -r _ <&3' +
      "; head -c 1000000 /dev/zero >&3 & head -c 1000000 <&3 | wc -c";
    const limit = String(deadline(20));
    const argv = ["timeout", limit, "bash", "-c", script, address];
    assertEquals((await this.client.ok(argv)).trim(), "1000000");
  }

  /** Runs `body`, in which nothing that is for `address` may leave in clear. */
  async sealed(address: string, body: () => Promise<void>): Promise<void> {
    const seen = await capture(this.client, "c0", ["host", address]);
    await body();
    assertEquals(await seen.stop(), [], "packets left in clear");
  }
}

/** The tests, by what the type does in them. */
const TESTS: Readonly<Record<string, (subject: Subject) => Promise<void>>> = {
  async "opens, carries both ways, and closes"(subject) {
    const { client, lab, type } = subject;
    const logins = await lab.logins();
    const device = await subject.connect(NETWORK);
    assertEquals(await lab.logins(), logins + 1, "it logged in more than once");
    await subject.sealed(ADDRESS.inet, () => subject.carries(ADDRESS.inet));
    const argv = ["ip", "-json", "-4", "address", "show", "dev", device];
    const [{ addr_info = [] } = {}] = JSON.parse(await client.ok(argv));
    const ping = ["ping", "-c1", "-W5", "-n", addr_info[0]?.local ?? ""];
    await lab.server.ok(ping);
    const list = await subject.run("-l");
    assertMatch(list.stdout, new RegExp(`^${device} +${type} +up `, "m"));
    await subject.stop(device);
    assertMatch((await reach(client, ADDRESS.inet)).error ?? "", /refused/);
  },

  async "has the MTU and the addresses that are asked for"(subject) {
    const pair = ["10.99.0.1", "10.99.0.2"] as const;
    const device = await subject.connect("--mtu=1300", `-i${pair.join(":")}`);
    const ends = [subject.client, subject.lab.server];
    for (const [index, node] of ends.entries()) {
      const argv = ["ip", "-json", "address", "show", "to", pair[index]!];
      const [link] = JSON.parse(await node.ok(argv));
      assertEquals(link?.mtu, 1300, `on the ${node.name}`);
    }
    const whole = ["ping", "-c1", "-W5", "-n", "-Mdo", "-s1272", pair[1]];
    await subject.client.ok(whole);
    await subject.stop(device);
  },

  async "carries the default route, but not itself"(subject) {
    const device = await subject.connect("default");
    await subject.sealed(ADDRESS.public, async () => {
      await subject.carries(ADDRESS.public);
      await subject.carries(ADDRESS.inet);
    });
    await subject.sealed(ADDRESS.public6, async () => {
      const { from } = await reach(subject.client, ADDRESS.public6);
      assertEquals(from, ADDRESS.serverInside6);
    });
    await subject.stop(device);
  },

  async "comes back when what carries it is killed, and leaks nothing"(
    subject,
  ) {
    const { client } = subject;
    const device = await subject.connect("default");
    await subject.sealed(ADDRESS.public, async () => {
      const flood = client.spawn([
        ...["ping", "-n", "-q", "-i0.02", "-W1", ADDRESS.public],
      ]);
      for (const death of [1, 2]) {
        const [, ...carriers] = await subject.processes(device);
        assert(carriers.length > 0, "nothing of what carries it is known");
        for (const pid of carriers) await client.kill(pid, "SIGKILL");
        await subject.comesBack(device, death);
        await subject.carries(ADDRESS.public);
      }
      flood.kill("SIGKILL");
      await flood.output();
    });
    await subject.stop(device);
  },

  async "is closed until -S when all of it is killed"(subject) {
    const { client } = subject;
    const device = await subject.connect(NETWORK);
    const all = await subject.processes(device);
    for (const pid of all) await client.kill(pid, "SIGKILL");
    await subject.sealed(ADDRESS.inet, async () => {
      const { error = "" } = await reach(client, ADDRESS.inet);
      assert(error !== "", "it is reached");
    });
    await subject.stop(device);
  },

  async "is undone on a server that goes away, and comes back with it"(
    subject,
  ) {
    const { lab } = subject;
    const before = await lab.server.snapshot();
    const device = await subject.connect(NETWORK);
    await lab.stopSshd();
    const left = await settled(lab.server, before);
    assertEquals(left, before, "something is left on the server");
    await lab.startSshd();
    await subject.comesBack(device, 1);
    await subject.carries(ADDRESS.inet);
    await subject.stop(device);
  },

  async "leaves nothing when the server refuses its addresses"(subject) {
    const { server } = subject.lab;
    const route = ["unreachable", "10.99.0.0/16"];
    await server.ok(["ip", "route", "add", ...route]);
    try {
      const args = ["-i", "10.99.0.1:10.99.0.2", HOST];
      const { code, stderr } = await subject.run("-t", subject.type, ...args);
      assertEquals(code, 6, stderr);
      assertMatch(stderr, /collides with the route "10\.99\.0\.0\/16"/);
    } finally {
      await server.ok(["ip", "route", "delete", ...route]);
    }
  },

  async "leaves nothing when it is cut while it connects"(subject) {
    const whole = await subject.start("default").ended;
    assertEquals(whole.code, 0, whole.stderr);
    await subject.stop(whole.stdout.split(" ")[0]!);
    const lines = whole.stderr.split("\n").length;
    for (const part of [0.2, 0.4, 0.6, 0.8]) {
      for (const signal of ["SIGINT", "SIGKILL"] as const) {
        const running = subject.start("default");
        await running.line(Math.round(lines * part));
        await running.kill(signal);
        const { code, stdout } = await running.ended;
        const up = code === 0;
        if (signal === "SIGINT" && !up) assertEquals([code, stdout], [130, ""]);
        else if ((await subject.run("-S")).code !== 0) {
          assert(!up, "what was up could not be stopped");
        }
        await eventually(
          subject.client,
          ["sh", "-c", "! pgrep -x ssh"],
          10_000,
        );
      }
    }
  },

  async "changes nothing with -n"(subject) {
    const { lab, type } = subject;
    const before = [await lab.client.snapshot(), await lab.logins()];
    const result = await subject.run("-n", "-t", type, HOST, "default");
    assertEquals(result.code, 0, result.stderr);
    assertMatch(result.stdout, /\bssh -T /);
    assertEquals([await lab.client.snapshot(), await lab.logins()], before);
  },
};

/**
 * Registers the tests of a tunnel type: with the real pvpn, against a real
 * sshd, in machines that are namespaces of this one's kernel. Both must be as
 * they were after each. They need root, and say so where they are left out.
 *
 * @param plugin The type, where the binary has it; or the plugin's file, in
 * JavaScript, which the binary then loads when it runs.
 * @param options How it is tested.
 */
export function testPlugin(
  plugin: string | URL,
  options: PluginTestOptions = {},
): void {
  const file = plugin instanceof URL ? fromFileUrl(plugin) : undefined;
  const type = file === undefined ? `${plugin}` : basename(file, ".js");
  const program = options.pvpn ?? pvpnBinary();
  const keep = [dirname(program)];
  const test = suite({ jump: false, keep }, async ({ client }) => {
    if (file === undefined) return;
    await client.ok(["mkdir", FOLDER]);
    const text = await Deno.readTextFile(file);
    await client.writeFile(`${FOLDER}/${basename(file)}`, text);
  });
  for (const [what, body] of Object.entries(TESTS)) {
    test(`${type} ${what}`, (lab) => body(new Subject(lab, type, program)));
  }
}
