/** Pumps of ssh-gso whose other end is played by a test. */
import { assert, assertEquals } from "@std/assert";
import { PUMP } from "../../plugins/pump.ts";
import { deadline } from "../lab/deadline.ts";
import { echo, frame, FrameReader, HERE, ipv4, length } from "../lab/frames.ts";
import type { Lab, Node } from "../lab/lab.ts";
import { eventually } from "./running.ts";

/** The addresses of the client's and of the server's end. */
export const CLIENT = "10.9.9.1";
export const SERVER = "10.9.9.2";
export const CLIENT6 = "fd99::1";
/** Sequence numbers above this one are those of {@linkcode Peer.answers}. */
const FIRST = 1000;
/** What a server's pump says first. */
export const HELLO = "pvpn-gso 1\n";

// Its own input is what never ends: nobody else holds the other end.
const CLIENT_SCRIPT = `
keeper=/tmp/keeper.$$
mkfifo "$keeper"
exec 5<&0 6>&1 0<>"$keeper" >/dev/null
rm "$keeper"
exec perl -we "$0" "$@"`;

/** A pump that runs, and the other end of it. */
export class Peer implements AsyncDisposable {
  #sequence = FIRST;
  #next: Promise<Uint8Array | undefined> | undefined;
  #errors = "";
  readonly #reading: Promise<void>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** What it sends. */
  readonly frames: FrameReader;
  /** Whether it tells the pump how far it is. */
  willing = true;
  /** What came before the answers that were waited for. */
  readonly others: Uint8Array[] = [];
  /** The pump's device. */
  device = "";

  private constructor(
    readonly node: Node,
    readonly child: Deno.ChildProcess,
    /** The addresses of this end and of the pump's. */
    readonly addresses: readonly [mine: string, its: string],
  ) {
    this.#writer = child.stdin.getWriter();
    this.frames = new FrameReader(child.stdout, async () => {
      if (this.willing) await this.send(length(HERE));
    });
    this.#reading = (async () => {
      const text = child.stderr.pipeThrough(new TextDecoderStream());
      for await (const part of text) this.#errors += part;
    })();
  }

  /** A server's pump, with a device that has addresses. */
  static async server({ server }: Lab): Promise<Peer> {
    const script = 'exec perl -we "$0" "$@" 3>&2';
    const child = server.spawn(
      ["sh", "-c", script, PUMP, "tun%d", `${CLIENT},${CLIENT6}`, "1"],
      { stdin: "piped" },
    );
    const peer = new Peer(server, child, [CLIENT, SERVER]);
    const hello = await peer.frames.bytes(HELLO.length);
    assertEquals(new TextDecoder().decode(hello), HELLO);
    await peer.said(/^device \S+$/m);
    peer.device = /^device (\S+)$/m.exec(peer.errors)![1]!;
    await peer.#configure();
    return peer;
  }

  /**
   * A client's pump, whose ssh is this end: its output and input are
   * descriptors 5 and 6 of `ssh`.
   */
  static async client(
    { client }: Lab,
    ssh = "cat <&5 6>&- & exec cat >&6 5<&-",
  ): Promise<Peer> {
    const device = "tun0";
    await client.ok(["ip", "tuntap", "add", device, "mode", "tun", "vnet_hdr"]);
    const child = client.spawn(
      [
        ...["sh", "-c", CLIENT_SCRIPT, PUMP, device, `${CLIENT},${CLIENT6}`],
        ...["1", "new", "3"],
        ...["sh", "-c", ssh],
      ],
      { stdin: "piped" },
    );
    const peer = new Peer(client, child, [SERVER, CLIENT]);
    peer.device = device;
    await peer.#configure();
    return peer;
  }

  async #configure(): Promise<void> {
    const [mine, its] = this.addresses;
    const pair = [its, "peer", mine, "dev", this.device];
    await this.node.ok(["ip", "address", "add", ...pair]);
    await this.node.ok(["ip", "link", "set", this.device, "up"]);
  }

  /** What it has said so far. */
  get errors(): string {
    return this.#errors;
  }

  /** Waits until it says something. */
  async said(pattern: RegExp): Promise<void> {
    const end = performance.now() + deadline(5000);
    while (!pattern.test(this.#errors)) {
      assert(performance.now() < end, `not said: ${pattern}: ${this.#errors}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Sends bytes; a pump that has ended does not take them. */
  async send(bytes: Uint8Array | string): Promise<void> {
    const all = typeof bytes === "string"
      ? new TextEncoder().encode(bytes)
      : bytes;
    await this.#writer.write(all).catch(ignorePipe);
  }

  /**
   * Asks the pump's machine for an echo, again every second: on a line that is
   * full, as that to a slow test is, a pump may drop one.
   *
   * @returns whether it comes; not where the pump ends
   */
  async answers(): Promise<boolean> {
    const end = performance.now() + deadline(20_000);
    while (true) {
      assert(performance.now() < end, `it answers no echo: ${this.#errors}`);
      await this.send(frame(ipv4(...this.addresses, echo(++this.#sequence))));
      const late = Promise.withResolvers<"late">();
      const timer = setTimeout(() => late.resolve("late"), deadline(1000));
      try {
        while (true) {
          this.#next ??= this.frames.packet();
          const packet = await Promise.race([this.#next, late.promise]);
          if (packet === "late") break;
          this.#next = undefined;
          if (packet === undefined) return false;
          const number = replyOf(packet);
          if (number === this.#sequence) return true;
          if (number < FIRST) this.others.push(packet);
        }
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /**
   * How many packets the device has taken from the pump, beside those of
   * {@linkcode Peer.answers}; call it behind that, which comes last.
   */
  async taken(): Promise<number> {
    const path = `/sys/class/net/${this.device}/statistics/rx_packets`;
    const all = Number(await this.node.ok(["cat", path]));
    return all - (this.#sequence - FIRST);
  }

  /** Ends its input; resolves to its exit status. */
  async end(): Promise<number> {
    await this.#writer.close().catch(ignorePipe);
    const { code } = await this.child.status;
    await this.#reading;
    await this.frames.cancel();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    // The client's stays when its pump ends; the server's must not.
    const delete_ = ["ip", "link", "delete", this.device];
    if (this.node.name === "client") await this.node.ok(delete_);
    const gone = `[ ! -e /sys/class/net/${this.device} ]`;
    await eventually(this.node, ["sh", "-c", gone], 2000);
  }
}

/** The sequence number of an ICMP echo reply; -1 of anything else. */
function replyOf(packet: Uint8Array): number {
  const reply = packet[0] === 0x45 && packet[9] === 1 && packet[20] === 0;
  return reply ? new DataView(packet.buffer).getUint16(26) : -1;
}

function ignorePipe(error: unknown): void {
  const gone = error instanceof Deno.errors.BrokenPipe ||
    error instanceof TypeError;
  if (!gone) throw error;
}
