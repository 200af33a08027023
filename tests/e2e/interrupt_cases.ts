/**
 * Connecting, cut at every moment that can be seen: nothing is left, on
 * either end. Moments are the lines that `-d` prints: each command that is
 * run, and each step of ssh, of the server's script, and of pppd. For all
 * tunnel types; files of tests say for which.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { labTest } from "../lab/suite.ts";
import type { Typed } from "./helpers.ts";
import { Before, type Ended, start } from "./running.ts";

type Cut = "SIGINT" | "SIGTERM" | "SIGKILL";

// Most lines of ssh's are alike.
const SSH_MOMENTS =
  /^\+ |^debug1: (?:Connecting|SSH2_MSG_KEXINIT sent|Requesting tun|sys_tun_open|Entering|ssh_tun_confirm|pledge: fork)|^Authenticated|^(?! ).*(?:ip -4|address add|link set|undo EXIT|say)/;
const PPP_MOMENTS =
  /^\+ (?!server)|^pppd: (?:Using|Connect|local)|^Authenticated/;

const argsOf = ({ type }: Typed) => [
  ...["-d", "-t", type, "root@server", "default"],
];

/** The numbers of the lines that match, in what a whole run says. */
async function moments(
  lab: Lab,
  type: Typed,
  pattern: RegExp,
): Promise<number[]> {
  const { stderr, code } = await start(lab, argsOf(type)).ended;
  assertEquals(code, 0, stderr);
  await pvpn(lab, ["-S"]);
  return stderr.split("\n").flatMap((line, number) =>
    pattern.test(line) ? [number] : []
  );
}

/** It has undone all by itself, or was faster than the signal. */
async function assertUndone(
  lab: Lab,
  type: Typed,
  signal: Cut,
  { code, stdout, stderr }: Ended,
): Promise<boolean> {
  if (code === 0) {
    assertEquals(stdout, `${type.device}0 connected\n`);
    assertEquals((await pvpn(lab, ["-S"])).code, 0);
    return false;
  }
  assertEquals(code, 130, stderr);
  assertEquals(stdout, "");
  assertMatch(stderr, new RegExp(`pvpn: error: interrupted by ${signal}`));
  return true;
}

/** It could undo nothing: -S does. */
async function assertStopped(lab: Lab, { device }: Typed): Promise<void> {
  const { code, stdout, stderr } = await pvpn(lab, ["-S"]);
  if (code === 0) assertEquals(stdout, `${device}0 disconnected\n`);
  else {
    assertEquals(code, 9, stderr);
    assertMatch(stderr, /no tunnel is up/);
  }
}

/** What {@linkcode cutTest} may do otherwise. */
export interface CutOptions {
  /** Makes the lab what it is to be. */
  readonly prepare?: (lab: Lab) => Promise<unknown>;
  /** Of how many moments one is tried. */
  readonly every?: number;
}

/** Cuts at all moments, with the signals in turn. */
export function cutTest(
  type: Typed,
  signals: readonly Cut[],
  { prepare, every = 1 }: CutOptions = {},
): void {
  const names = signals.join(" or ");
  labTest(
    `${type.type} leaves nothing when ${names} cuts it at any step`,
    async (lab) => {
      await prepare?.(lab);
      const pattern = type.type === "ppp" ? PPP_MOMENTS : SSH_MOMENTS;
      const steps = (await moments(lab, type, pattern))
        .filter((_, index) => index % every === 0);
      assert(steps.length > 10, `only ${steps}`);
      const before = await Before.of(lab);
      let cut = 0;
      for (const [i, step] of steps.entries()) {
        const signal = signals[i % signals.length]!;
        const running = start(lab, argsOf(type));
        await running.line(step);
        await running.kill(signal);
        const ended = await running.ended;
        if (signal === "SIGKILL") {
          await assertStopped(lab, type);
          cut++;
        } else if (await assertUndone(lab, type, signal, ended)) cut++;
        await before.assertSame(`${signal} at line ${step} of ${steps.at(-1)}`);
      }
      assert(cut > steps.length / 2, `only ${cut} of ${steps.length} were cut`);
    },
  );
}

/** As a run that is killed later has left it. */
async function giveAddress(
  { client }: Lab,
  device: string,
  [local, peer]: readonly [string, string],
): Promise<void> {
  const add = ["address", "add", local, "peer", peer, "dev", device];
  await client.ok(["ip", ...add]);
  await client.ok(["ip", "link", "set", "dev", device, "up"]);
}

/**
 * Kills a run whose ssh talks to the server, and starts another. With a login
 * that is done, it could be up before it is killed.
 */
export function recoverTest(type: Typed): void {
  labTest(
    `${type.type} undoes what a killed run has left when it starts`,
    async (lab) => {
      const [line] = await moments(lab, type, /^debug1: SSH2_MSG_KEXINIT sent/);
      const before = await Before.of(lab);
      const running = start(lab, argsOf(type));
      await running.line(line!);
      await running.kill("SIGKILL");
      await running.ended;
      const { device } = type;
      // What is undone is not in the way of the next.
      const pair = ["10.68.77.1", "10.68.77.2"] as const;
      if (device === "tun") await giveAddress(lab, "tun0", pair);
      const args = ["-i", pair.join(":"), "root@server", "default"];
      const next = await type.connect(lab, args);
      assertEquals(next.code, 0, next.stderr);
      assertEquals(next.stdout, `${device}0 connected\n`);
      const said = `warning: undid what a dead run .* left of "${device}0"`;
      assertMatch(next.stderr, new RegExp(said));
      assertEquals((await pvpn(lab, ["-S", `${device}0`])).code, 0);
      await before.assertSame("after the second run");
    },
  );
}
