/**
 * A slow, lossy link: how long to the first byte, how long packets take, and
 * how many are lost, by tunnel type and beside all tunnels. Prints Markdown.
 * Needs ppp and netem: where this machine's kernel has them not, it runs in
 * the virtual machine, where all takes longer than the link says.
 *
 * Usage: deno run -A tests/bench/link.ts [ROUNDS]
 */
import { fromFileUrl } from "@std/path";
import { has } from "../../tools/test_plan.ts";
import { NO_MACHINE } from "../../tools/test_vm.ts";
import { ADDRESS, Lab } from "../lab/lab.ts";
import { FLOOR, measure, print, quantile, tunnel } from "./measure.ts";

/** Each way: together 100 ms there and back, and 2 packets of 100 lost. */
const NETEM = "netem delay 50ms loss 1% limit 100000";
const TYPES = ["ssh-3", "ppp"];
const PINGS = 50;

/** What came back, in milliseconds, of {@linkcode PINGS} packets. */
async function ping({ client }: Lab, address: string): Promise<number[]> {
  const words = ["-n", "-c", `${PINGS}`, "-i", "0.2", "-W", "5"];
  const { stdout } = await client.run(["ping", ...words, address]);
  return [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, ms]) => Number(ms));
}

class Row {
  readonly times: number[] = [];
  readonly rtts: number[] = [];
  sent = 0;

  add(rtts: readonly number[]): void {
    this.rtts.push(...rtts);
    this.sent += PINGS;
  }

  cells(name: string, floor: Row): string[] {
    const { times, rtts, sent } = this;
    const ratios = times.map((spent, i) => spent / (floor.times[i] ?? NaN));
    const lost = 100 * (1 - rtts.length / sent);
    const pinged = sent === 0
      ? ["–", "–", "–"]
      : [quantile(rtts), quantile(rtts, 0.95), lost].map((n) => n.toFixed(1));
    return [
      name,
      ...times.length === 0
        ? ["–", "–"]
        : [quantile(times).toFixed(0), quantile(ratios).toFixed(2)],
      ...pinged,
    ];
  }
}

async function bench(rounds: number): Promise<void> {
  await using lab = await Lab.up({ jump: false });
  const ends = [[lab.client, "c0"], [lab.server, "s0"]] as const;
  for (const [node, device] of ends) {
    const argv = ["tc", "qdisc", "add", "dev", device, "root"];
    await node.ok([...argv, ...NETEM.split(" ")]);
  }
  const [floorName, { run: floorScript }] = FLOOR;
  const [link, floor] = [new Row(), new Row()];
  const rows = TYPES.map((type) => [`pvpn -t ${type}`, new Row()] as const);
  for (let round = -1; round < rounds; round++) { // the first is not counted
    const count = round >= 0;
    const login = await measure(lab, floorScript);
    if (count) floor.times.push(login);
    if (count) link.add(await ping(lab, ADDRESS.server));
    for (const [i, type] of TYPES.entries()) {
      const row = rows[i]![1];
      const { run, after } = tunnel(type);
      const spent = await measure(lab, run);
      if (count) {
        row.times.push(spent);
        row.add(await ping(lab, ADDRESS.inet));
      }
      await lab.client.ok(["bash", "-c", after]);
    }
  }
  await print(
    `A link of 100 ms that loses 1 % each way; median of ${rounds} interleaved ` +
      `rounds, ${rounds * PINGS} packets 200 ms apart:`,
    [
      "way",
      "first byte, ms",
      "× `ssh HOST true`",
      "RTT, ms",
      "95 %",
      "lost, %",
    ],
    [
      ["the link itself", link] as const,
      [floorName, floor] as const,
      ...rows,
    ].map(([name, row]) => row.cells(name, floor)),
  );
}

/** Runs this file in the virtual machine; the exit status. */
async function inMachine(args: readonly string[]): Promise<number> {
  const vm = fromFileUrl(new URL("../lab/vm.sh", import.meta.url));
  const { code } = await new Deno.Command(vm, {
    args: [
      ...[Deno.execPath(), "run", "-A", "--no-check"],
      ...[fromFileUrl(import.meta.url), ...args],
    ],
    env: { VM_TIMEOUT: Deno.env.get("VM_TIMEOUT") || "3000" },
    stdin: "null",
  }).spawn().status;
  return code === NO_MACHINE ? 0 : code; // it has said why there is none
}

const here = await Promise.all([has("ppp"), has("netem")]);
if (here.every(Boolean)) await bench(Number(Deno.args[0] ?? 3));
else Deno.exit(await inMachine(Deno.args));
