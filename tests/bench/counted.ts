/**
 * What connecting takes in instructions: in the virtual machine, whose clock
 * counts these. Its kernel has ppp, and however busy the host is, the figures
 * are the same. Prints Markdown.
 *
 * Usage: deno run -A tests/bench/counted.ts [ROUNDS]
 */
import { Lab } from "../lab/lab.ts";
import { CLOCK, inMachine } from "./machine.ts";
import { Figures, FLOOR, LOGIN, measure, print, progress } from "./measure.ts";
import { connect, own, peers, SCRIPT, SSHUTTLE } from "./peers.ts";

async function bench(rounds: number): Promise<void> {
  await using lab = await Lab.up({ jump: false });
  const all = await peers(lab, [
    ...[SCRIPT, SSHUTTLE],
    ...["ssh-3", "ssh-gso", "ppp"].map((type) => own(type)),
  ]);
  const figures = new Figures();
  for (let round = -1; round < rounds; round++) {
    await progress(`round ${round + 1} of ${rounds}`);
    const count = round >= 0; // the first one fills the caches
    const floor = await measure(lab, LOGIN);
    if (count) figures.add(FLOOR, floor);
    for (const peer of all) {
      const spent = await connect(lab, peer);
      await lab.client.ok(["bash", "-c", peer.stop]);
      if (count) figures.add(peer.name, spent);
    }
  }
  await print(
    "From the start to the first byte from the far end, counted in " +
      `instructions; ${rounds} rounds:`,
    ["way", "million instructions", `× ${FLOOR}`],
    [FLOOR, ...all.map(({ name }) => name)].map((name) => [
      ...[name, figures.median(name), figures.ratio(name, FLOOR)],
    ]),
  );
}

const [rounds = "3"] = Deno.args;
if (Deno.env.get("VM_CLOCK") === CLOCK) await bench(Number(rounds));
else Deno.exit(await inMachine(import.meta.url, [rounds]));
