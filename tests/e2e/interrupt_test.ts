/**
 * Connecting, cut at every moment that can be seen: nothing is left, on
 * either end. Moments are the lines that `-d` prints: each command that is
 * run, and each step of ssh and of the server's script.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { labTest } from "../lab/suite.ts";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { Before, start } from "./running.ts";

const ARGS = ["-d", "-t", "ssh-3", "root@server", "default"];

/** The numbers of the lines at which to cut; most of ssh's are alike. */
async function moments(lab: Lab): Promise<number[]> {
  const { stderr, code } = await start(lab, ARGS).ended;
  assertEquals(code, 0, stderr);
  await pvpn(lab, ["-S"]);
  const lines = stderr.split("\n");
  const picked = lines.flatMap((line, number) =>
    /^\+ |^debug1: (?:Connecting|SSH2_MSG_KEXINIT sent|Requesting tun|sys_tun_open|Entering|ssh_tun_confirm|pledge: fork)|^Authenticated|(?:ip address|ip link|trap undo|say)/
        .test(line) && !/^ /.test(line)
      ? [number]
      : []
  );
  assert(picked.length > 15, stderr);
  return picked;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  labTest(
    `pvpn leaves nothing when ${signal} cuts it at any step`,
    async (lab) => {
      const steps = await moments(lab);
      const before = await Before.of(lab);
      let cut = 0;
      for (const step of steps) {
        const running = start(lab, ARGS);
        await running.line(step);
        await running.kill(signal);
        const { code, stdout, stderr } = await running.ended;
        if (code === 0) {
          // It was faster than the signal: then it is connected, wholly.
          assertMatch(stdout, /^tun0 connected\n$/);
          assertEquals((await pvpn(lab, ["-S"])).code, 0);
        } else {
          cut++;
          assertEquals(code, 130, stderr);
          assertEquals(stdout, "");
          assertMatch(
            stderr,
            new RegExp(`pvpn: error: interrupted by ${signal}`),
          );
        }
        await before.assertSame(`cut at line ${step} of ${steps.at(-1)}`);
      }
      assert(cut > steps.length / 2, `only ${cut} of ${steps.length} were cut`);
    },
  );
}

labTest("pvpn -S undoes what a kill -9 at any step has left", async (lab) => {
  const steps = await moments(lab);
  const before = await Before.of(lab);
  for (const step of steps) {
    const running = start(lab, ARGS);
    await running.line(step);
    await running.kill("SIGKILL");
    await running.ended;
    const { code, stdout, stderr } = await pvpn(lab, ["-S"]);
    if (code === 0) assertMatch(stdout, /^tun0 disconnected\n$/);
    else {
      assertEquals(code, 9, stderr);
      assertMatch(stderr, /no tunnel is up/);
    }
    await before.assertSame(`killed at line ${step} of ${steps.at(-1)}`);
  }
});

labTest(
  "pvpn undoes what a killed run has left when it starts",
  async (lab) => {
    const before = await Before.of(lab);
    const running = start(lab, ARGS);
    await running.line(40);
    await running.kill("SIGKILL");
    await running.ended;
    const next = await pvpn(lab, ["-t", "ssh-3", "root@server", "default"]);
    assertEquals(next.code, 0, next.stderr);
    assertEquals(next.stdout, "tun0 connected\n");
    assertMatch(
      next.stderr,
      /warning: undid what a dead run .* left of "tun0"/,
    );
    assertEquals((await pvpn(lab, ["-S", "tun0"])).code, 0);
    await before.assertSame("after the second run");
  },
);
