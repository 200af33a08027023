/** What the end-to-end tests share: a lab a file, and proof that nothing is left. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab, Node } from "../lab/lab.ts";
import type { RunOptions, RunResult } from "../lab/node.ts";
import { pvpn } from "../lab/pvpn.ts";

export { type LabTest, suite, unchanged } from "../lab/suite.ts";

/** The option that most of these tests have. */
export const SSH_3 = ["-t", "ssh-3"] as const;

/** A tunnel that is up; it ends with the block it is made in. */
export class Tunnel implements AsyncDisposable {
  readonly #lab: Lab;
  /** The client's device. */
  readonly device: string;
  #up = true;

  constructor(lab: Lab, device: string) {
    this.#lab = lab;
    this.device = device;
  }

  /** The addresses of the client's end: its own, and the server's. */
  async pair(): Promise<{ local: string; peer: string }> {
    const [{ local, address } = {}] = await addresses(
      this.#lab.client,
      this.device,
    );
    assert(local && address, `${this.device} has no address`);
    return { local, peer: address };
  }

  async stop(): Promise<void> {
    this.#up = false;
    const { code, stdout, stderr } = await pvpn(this.#lab, ["-S", this.device]);
    assertEquals({ code, stdout, stderr }, {
      code: 0,
      stdout: `${this.device} disconnected\n`,
      stderr: "",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#up) await this.stop();
  }
}

/** What is said of IPv6 under `default`, and of the client's own networks. */
const NOTES_REGEXP =
  /^pvpn: (?:IPv6 (?:goes|is blocked)|warning: this machine is in|hint: to keep it outside).*\n/gm;

/** What was said beside {@linkcode NOTES_REGEXP}. */
export function beside(stderr: string): string {
  return stderr.replace(NOTES_REGEXP, "");
}

/** What tests of a tunnel type type. */
export interface Typed {
  readonly type: "ppp" | "ssh-3" | "ssh-gso" | "auto";
  /** The start of its devices' names. */
  readonly device: string;
  /** Runs pvpn on the client for a tunnel of that type. */
  connect(
    lab: Lab,
    args: readonly string[],
    options?: RunOptions,
  ): Promise<RunResult>;
  /** Connects; that must work, and say nothing but that, and such notes. */
  up(
    lab: Lab,
    args: readonly string[],
    options?: RunOptions & { says?: RegExp },
  ): Promise<Tunnel>;
}

/** For tests that are the same for all types. */
export function typed(type: Typed["type"]): Typed {
  const connect: Typed["connect"] = (lab, args, options) =>
    pvpn(lab, ["-t", type, ...args], options);
  const device = type === "ppp" ? "ppp" : "tun";
  const up: Typed["up"] = async (lab, args, options = {}) => {
    const { code, stdout, stderr } = await connect(lab, args, options);
    assertEquals(code, 0, stderr);
    if (options.says) assertMatch(stderr, options.says);
    else assertEquals(beside(stderr), "");
    assertMatch(stdout, new RegExp(`^${device}\\d+ connected\n$`));
    return new Tunnel(lab, stdout.split(" ")[0]!);
  };
  return { type, device, connect, up };
}

export const { connect, up } = typed("ssh-3");

/** An IPv4 address of a device, as `ip -json` tells it. */
export interface DeviceAddress {
  local: string;
  /** The other end of it. */
  address?: string;
}

/** The IPv4 addresses of a device. */
export async function addresses(
  node: Node,
  device: string,
): Promise<DeviceAddress[]> {
  const argv = ["ip", "-4", "-json", "address", "show", "dev", device];
  const devices = JSON.parse(await node.ok(argv)) as {
    addr_info?: DeviceAddress[];
  }[];
  return devices.flatMap(({ addr_info = [] }) => addr_info);
}

/** The device that has an address, and its MTU. */
export async function deviceOf(
  node: Node,
  address: string,
): Promise<{ ifname: string; mtu: number }> {
  const argv = ["ip", "-json", "address", "show", "to", address];
  const [device] = JSON.parse(await node.ok(argv)) as {
    ifname?: string;
    mtu: number;
  }[];
  assert(device?.ifname, `${node.name} has no device with ${address}`);
  return { ifname: device.ifname, mtu: device.mtu };
}

/** Where packets of a node go: the device and, if there is one, the router. */
export async function way(
  node: Node,
  to: string,
  ...words: string[]
): Promise<string> {
  const argv = ["ip", "-json", "route", "get", to, ...words];
  const { code, stdout, stderr } = await node.run(argv);
  if (code !== 0) return stderr.trim();
  const [route] = JSON.parse(stdout) as { dev: string; gateway?: string }[];
  return [route?.dev, route?.gateway].filter(Boolean).join(" via ");
}

/** The words that make {@linkcode way} ask for an ssh connection. */
export const SSH_PORT = ["ipproto", "tcp", "dport", "22"] as const;

/** The lines that pvpn printed of one kind, without what stands before. */
export function said(
  { stderr }: RunResult,
  kind: "error" | "hint" | "warning",
): string[] {
  const start = `pvpn: ${kind}: `;
  return stderr.split("\n").filter((line) => line.startsWith(start))
    .map((line) => line.slice(start.length));
}

/** Proves a failure: its status, its cause, what to do; and nothing else. */
export function assertFails(
  result: RunResult,
  code: number,
  error: RegExp,
  hint?: RegExp,
): void {
  assertEquals(result.code, code, result.stderr);
  assertEquals(result.stdout, "");
  assertMatch(said(result, "error").join("\n"), error);
  if (hint) assertMatch(said(result, "hint").join("\n"), hint);
  assert(!/[^\n\t\x20-\x7e]/.test(result.stderr), "a control character");
}
