/** Frames of the ssh-gso pump, made and read by hand; packets for them. */

/** struct virtio_net_hdr, little-endian: what stands before each packet. */
export interface Header {
  flags?: number;
  type?: number;
  headers?: number;
  size?: number;
  start?: number;
  offset?: number;
}

/** What stands where a length would: how far are you? */
export const ASK = 0;
/** And the answer. */
export const HERE = 1;

/** The length of {@linkcode Header} in a frame. */
export const HEADER = 10;

/** Joins bytes. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The length of a frame, as it stands before it. */
export function length(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** A frame with a packet. */
export function frame(
  packet: Uint8Array,
  header: Header = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER);
  const view = new DataView(bytes.buffer);
  const { flags = 0, type = 0, headers = 0, size = 0, start = 0, offset = 0 } =
    header;
  bytes.set([flags, type]);
  [headers, size, start, offset].forEach((value, i) =>
    view.setUint16(2 + 2 * i, value, true)
  );
  return join(length(HEADER + packet.length), bytes, packet);
}

/** The checksum of the Internet: RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) {
    sum += i % 2 ? bytes[i]! : bytes[i]! << 8;
  }
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** An ICMP echo request, or with type 0 an answer. */
export function echo(
  sequence: number,
  data = new Uint8Array(32),
  type = 8,
): Uint8Array<ArrayBuffer> {
  const bytes = join(new Uint8Array([type, 0, 0, 0, 0x77, 0x77, 0, 0]), data);
  const view = new DataView(bytes.buffer);
  view.setUint16(6, sequence);
  view.setUint16(2, checksum(bytes));
  return bytes;
}

/** The 4 bytes of an IPv4 address. */
const octets = (address: string) => address.split(".").map(Number);

/** An IPv4 packet. */
export function ipv4(
  from: string,
  to: string,
  payload: Uint8Array,
  protocol = 1,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  header.set([0x45, 0], 0);
  view.setUint16(2, 20 + payload.length);
  header.set([64, protocol], 8);
  header.set(octets(from), 12);
  header.set(octets(to), 16);
  view.setUint16(10, checksum(header));
  return join(header, payload);
}

/** The 16 bytes of an IPv6 address. */
export function octets6(address: string): Uint8Array<ArrayBuffer> {
  const [left = "", right = ""] = address.split("::");
  const groups = (text: string) => text.split(":").filter(Boolean);
  const zeros = 8 - groups(left).length - groups(right).length;
  const all = [...groups(left), ...Array(zeros).fill("0"), ...groups(right)];
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  all.forEach((group, i) => view.setUint16(2 * i, parseInt(group, 16)));
  return bytes;
}

/** An IPv6 packet; without a payload it has no next header. */
export function ipv6(
  from: string,
  to: string,
  payload: Uint8Array = new Uint8Array(),
  next = 59,
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(8);
  new DataView(header.buffer).setUint16(4, payload.length);
  header.set([0x60], 0);
  header.set([next, 64], 6);
  return join(header, octets6(from), octets6(to), payload);
}

/** Reads a pump's output. */
export class FrameReader {
  #bytes: Uint8Array = new Uint8Array();
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #asked: () => Promise<void>;
  /** How often it was told how far the pump is. */
  answers = 0;

  /** `asked` is called when the pump asks how far this end is. */
  constructor(
    stream: ReadableStream<Uint8Array>,
    asked: () => Promise<void>,
  ) {
    this.#reader = stream.getReader();
    this.#asked = asked;
  }

  /** The next bytes; `undefined` where it ends before. */
  async bytes(count: number): Promise<Uint8Array | undefined> {
    while (this.#bytes.length < count) {
      const { value, done } = await this.#reader.read();
      if (done) return undefined;
      this.#bytes = join(this.#bytes, value);
    }
    const bytes = this.#bytes.slice(0, count);
    this.#bytes = this.#bytes.slice(count);
    return bytes;
  }

  /** The next packet or answer; `undefined` where there is none. */
  async next(): Promise<Uint8Array | "here" | undefined> {
    while (true) {
      const first = await this.bytes(4);
      if (first === undefined) return undefined;
      const size = new DataView(first.buffer).getUint32(0);
      if (size === HERE) return "here";
      if (size === ASK) await this.#asked();
      else return (await this.bytes(size))?.slice(HEADER);
    }
  }

  /** The next packet; `undefined` where there is none. */
  async packet(): Promise<Uint8Array | undefined> {
    while (true) {
      const next = await this.next();
      if (next !== "here") return next;
      this.answers++;
    }
  }

  /** Reads no more. */
  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
