/** Resolvers that write down what they are asked, and tests with them. */
import { assert, assertEquals } from "@std/assert";
import { type Capture, capture } from "../lab/capture.ts";
import { deadline } from "../lab/deadline.ts";
import { ADDRESS, type Lab, type LabOptions, type Node } from "../lab/lab.ts";
import { labTest } from "../lab/suite.ts";
import { Before } from "./running.ts";

/** dnsmasq on a node. */
class Resolver implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #log: string[] = [];
  readonly #read: Promise<void>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#read = this.#collect();
  }

  /** Starts it; it knows some names, and that others below .test are none. */
  static async start(
    node: Node,
    address: string,
    answers: Readonly<Record<string, string>>,
  ): Promise<Resolver> {
    const records = Object.entries(answers).map(([name, to]) =>
      `--host-record=${name},${to}`
    );
    const child = node.spawn([
      ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"],
      ...["--no-resolv", "--no-hosts", "--user=root", "--pid-file="],
      ...["--log-queries", "--log-facility=-", "--local=/test/", ...records],
      ...[`--listen-address=${address}`, "--bind-interfaces", "--cache-size=0"],
    ], { stdout: "null" });
    node.own(child);
    const resolver = new Resolver(child);
    await resolver.#until(/ started, version /);
    return resolver;
  }

  async #collect(): Promise<void> {
    let rest = "";
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.#log.push(...lines);
    }
  }

  async #until(pattern: RegExp): Promise<void> {
    const end = performance.now() + deadline(10_000);
    while (!this.#log.some((line) => pattern.test(line))) {
      assert(performance.now() < end, `no ${pattern}: ${this.#log.join("\n")}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The names it was asked for, each once, since this was called last. */
  asked(): string[] {
    const names = this.#log.splice(0).flatMap((line) =>
      / query\[\w+\] (\S+) from /.exec(line)?.[1] ?? []
    );
    return [...new Set(names)].sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await Promise.all([this.#child.status, this.#read]);
  }
}

/** The address of the resolver that the server uses, and only it reaches. */
export const RESOLVER = "10.88.0.53";
/** The address of the one on the client's own network, which it used before. */
export const LAN = ADDRESS.server;

/** What the server's resolver answers. */
const RIGHT = {
  "www.corp.test": "203.0.113.9",
  "www.lab.test": "10.88.0.9",
  "host.home.test": "192.0.2.1",
};
/** The local network's answers as well, but with something else. */
const WRONG = {
  "www.corp.test": "192.0.2.66",
  "www.lab.test": "192.0.2.66",
  "host.home.test": "192.0.2.67",
};

/** The two resolvers. */
export class Names implements AsyncDisposable {
  private constructor(readonly server: Resolver, readonly lan: Resolver) {}

  static async start(lab: Lab): Promise<Names> {
    await lab.inet.ok(["ip", "address", "add", `${RESOLVER}/24`, "dev", "i0"]);
    const [server, lan] = await Promise.all([
      Resolver.start(lab.inet, RESOLVER, RIGHT),
      Resolver.start(lab.server, LAN, WRONG),
    ]);
    return new Names(server, lan);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      this.server[Symbol.asyncDispose](),
      this.lan[Symbol.asyncDispose](),
    ]);
  }

  /** Asserts whom names were asked at since the last time: the server's only. */
  assertTunnelled(what: string): void {
    assert(this.server.asked().length > 0, `nothing was asked, ${what}`);
    assertEquals(this.lan.asked(), [], `asked in clear, ${what}`);
  }
}

/** What the server's /etc/resolv.conf says. */
export const SERVER_CONF = `nameserver ${RESOLVER}\nsearch lab.test\n`;
/** What the client's says, so that it has something to lose. */
export const CLIENT_CONF = `# Mine\nnameserver ${LAN}\n`;

/** A test of names; both ends must be unchanged behind it. */
export function namesTest(
  name: string,
  body: (lab: Lab, names: Names) => Promise<void>,
  options: LabOptions & {
    /** Makes the client what it is to be, before it is looked at. */
    prepare?: (lab: Lab) => Promise<AsyncDisposable | void>;
    /** Whether it cannot run here; its name says why. */
    ignore?: boolean;
  } = {},
): void {
  if (options.ignore) return Deno.test({ name, ignore: true, fn() {} });
  labTest(name, async (lab) => {
    await using names = await Names.start(lab);
    await lab.server.writeFile("/etc/resolv.conf", SERVER_CONF);
    await lab.client.writeFile("/etc/resolv.conf", CLIENT_CONF);
    await using _services = await options.prepare?.(lab) ?? undefined;
    const before = await Before.of(lab);
    await body(lab, names);
    await before.assertSame("after the test");
  }, options);
}

/** Asserts that programs of all kinds get the server's answers. */
export async function assertRight(
  { client }: Lab,
  names: Names,
  search: "www" | "www.lab.test" = "www",
): Promise<void> {
  const out = async (...argv: string[]) =>
    (await client.run(argv)).stdout.trim().replace(/\s+/g, " ");
  assertEquals(
    await out("getent", "hosts", "www.corp.test"),
    "203.0.113.9 www.corp.test",
  );
  assertEquals(await out("getent", "hosts", search), "10.88.0.9 www.lab.test");
  assertEquals(await out("dig", "+short", "www.corp.test"), "203.0.113.9");
  assertEquals(
    await out("dig", "+short", "+tcp", "www.corp.test"),
    "203.0.113.9",
  );
  const none = await client.run(["getent", "hosts", "none.corp.test"]);
  assertEquals([none.code, none.stdout], [2, ""]);
  names.assertTunnelled("with the tunnel up");
}

/** What leaves the client by its cables, but for ssh and the cables' own. */
export class Uplinks {
  private constructor(readonly captures: readonly Capture[]) {}

  static async watch({ client }: Lab): Promise<Uplinks> {
    const filter = ["not arp and not icmp6 and not dst net ff02::/16"];
    const devices = ["c0", "c1"];
    return new Uplinks(
      await Promise.all(devices.map((dev) => capture(client, dev, filter))),
    );
  }

  /** Stops watching; asserts that ssh was seen, and nothing else. */
  async assertOnlySsh(what: string): Promise<void> {
    const all = await Promise.all(this.captures.map((one) => one.stop()));
    const packets = all.flat();
    const ssh =
      / IP 10\.77\.0\.(?:2\.\d+ > 10\.77\.0\.1\.22|1\.22 > 10\.77\.0\.2\.\d+): /;
    assert(packets.some((line) => ssh.test(line)), "the capture is empty");
    assertEquals(packets.filter((line) => !ssh.test(line)), [], what);
  }
}

/** Programs that ask for a name all the while, whatever happens. */
export class Asking {
  private constructor(readonly child: Deno.ChildProcess) {}

  /** Starts them; `more` is a further command line, if there is one. */
  static start({ client }: Lab, more = ":"): Asking {
    const script = `trap exit TERM
while :; do
  getent ahostsv4 www.corp.test
  dig +tries=1 +time=1 www.corp.test
  ${more}
  sleep 0.02
done`;
    return new Asking(
      client.spawn(["sh", "-c", script], { stdout: "null", stderr: "null" }),
    );
  }

  /** Ends when the one that is asking just now has. */
  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
  }
}
