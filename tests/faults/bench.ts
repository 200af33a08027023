/**
 * One operation of pvpn's with one step of it disturbed, and whether all is as
 * before when the tunnel has been stopped.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deadline } from "../lab/deadline.ts";
import { Lab } from "../lab/lab.ts";
import { settled } from "../lab/snapshot.ts";
import { Before, type Ended, type Running, start } from "../lab/running.ts";
import { closeServer, useIptables } from "../e2e/nat.ts";
import { said, type Typed } from "../e2e/helpers.ts";
import { Gate, type Held, type Step } from "./gate.ts";
import { faultOf, kills, type Operation, type Trial } from "./trial.ts";

/** Where trials are made: two machines, which are made anew when one failed. */
export class Bench implements AsyncDisposable {
  readonly #type: Typed;
  #place: { lab: Lab; gate: Gate; before: Before } | undefined;

  /** @param type The tunnel's. */
  constructor(type: Typed) {
    this.#type = type;
  }

  async #get() {
    if (this.#place) return this.#place;
    const lab = await Lab.up({ jump: false });
    try {
      // A firewall that is to be opened, too.
      await closeServer(lab);
      for (const name of ["iptables", "ip6tables"]) {
        await useIptables(lab.server, name);
        await lab.server.ok([name, "-P", "FORWARD", "DROP"]);
      }
      const gate = await Gate.make(lab);
      this.#place = { lab, gate, before: await Before.of(lab) };
      return this.#place;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place?.lab.down();
    this.#place = undefined;
  }

  /** The arguments that leave no part of connecting out. */
  get #args(): string[] {
    const { type } = this.#type;
    return ["-t", type, "-D", "--nat", "root@server", "default"];
  }

  async #pvpn(args: readonly string[], traced = false): Promise<Ended> {
    return await (await this.#start(args, traced)).ended;
  }

  async #start(args: readonly string[], traced: boolean): Promise<Running> {
    const { lab, gate } = await this.#get();
    const [program, ...words] = gate.argv(args, traced);
    return start(lab, words, {}, program);
  }

  /** All steps of an operation, in their order; `traced`: of pvpn's own. */
  async steps(operation: Operation, traced: boolean): Promise<Step[]> {
    const { gate, before } = await this.#get();
    await this.#prepare(operation, traced);
    await using _held = await gate.arm();
    if (operation === "reconnect") {
      await gate.kill("ssh");
      assert(await this.#isBack(), "it does not come back");
    } else await this.#succeeds(this.#argsOf(operation), traced);
    const steps = await gate.disarm();
    if (operation !== "stop") await this.#succeeds(["-S"]);
    await before.assertSame(`after ${operation} without a fault`);
    return steps.filter(({ side }) => (side === "file") === traced);
  }

  #argsOf(operation: Operation): string[] {
    return operation === "connect" ? this.#args : ["-S"];
  }

  async #succeeds(args: readonly string[], traced = false): Promise<void> {
    const { code, stderr } = await this.#pvpn(args, traced);
    assertEquals(code, 0, `${args.join(" ")}: ${stderr}`);
  }

  /** Makes what an operation needs. */
  async #prepare(operation: Operation, traced: boolean): Promise<void> {
    if (operation === "connect") return;
    await this.#succeeds(this.#args, traced && operation === "reconnect");
    if (operation === "stop") return;
    // Of a tunnel that was up for long, the first try is at once.
    const { lab: { client } } = await this.#get();
    const state = JSON.parse(await client.readFile(this.#journal));
    state.since = "2020-01-01T00:00:00.000Z";
    await client.writeFile(this.#journal, JSON.stringify(state));
  }

  get #journal(): string {
    return `/run/pvpn/${this.#type.device}0.json`;
  }

  /** How often the tunnel came back; undefined while it is at it. */
  async #reconnects(): Promise<number | undefined> {
    const { lab: { client } } = await this.#get();
    const text = await client.readFile(this.#journal);
    const { phase, owner, reconnects } = JSON.parse(text);
    return phase === "up" && owner === undefined ? reconnects : undefined;
  }

  /** Whether a stop that was killed has begun. */
  async #isStopping(): Promise<boolean> {
    const { lab: { client } } = await this.#get();
    const argv = ["grep", "-q", '"phase":"stopping"', this.#journal];
    return (await client.run(argv)).code === 0;
  }

  /** Resolves when the tunnel came back; to false, when nobody is at it. */
  async #isBack(): Promise<boolean> {
    const { lab: { client } } = await this.#get();
    const end = performance.now() + deadline(40_000);
    // There is no event that a file of another mount namespace gives.
    while (!await this.#reconnects()) {
      if ((await client.processes()).length === 0) return false;
      assert(performance.now() < end, "it is still at it");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return true;
  }

  /** Makes a trial; resolves to false where the step was not taken. */
  async try(trial: Trial): Promise<boolean> {
    try {
      return await this.#try(trial);
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #try(trial: Trial): Promise<boolean> {
    const { operation, step } = trial;
    const traced = step.side === "file";
    const { gate } = await this.#get();
    await this.#prepare(operation, traced);
    await using held = await gate.arm(step);
    const fired = operation === "reconnect"
      ? await this.#disturbReconnect(trial, held)
      : await this.#disturbRun(trial, held);
    await this.#isTidy(trial, fired);
    return fired !== undefined;
  }

  /** Waits for the step, and does what the fault says; false if it never was. */
  async #strike(
    trial: Trial,
    held: Held,
    until: Promise<unknown>,
  ): Promise<boolean> {
    const { gate } = await this.#get();
    const reached = await Promise.race([held.fired, until.then(() => false)]);
    if (!reached) return false;
    const { kill, word } = faultOf(trial)!;
    if (trial.operation === "reconnect") {
      assert(!await gate.leaks(), "it leaks before the fault");
    }
    if (kill) await gate.kill(kill);
    await held.say(word);
    return true;
  }

  /** Resolves to how it ended; undefined where the step was not taken. */
  async #disturbRun(trial: Trial, held: Held): Promise<Ended | undefined> {
    const { lab, gate, before } = await this.#get();
    const args = this.#argsOf(trial.operation);
    const running = await this.#start(args, trial.step.side === "file");
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      gate.kill("pvpn");
    }, deadline(60_000));
    try {
      // The server takes its side back a little later.
      const over = trial.operation === "stop"
        ? running.ended.then(() => settled(lab.server, before.server))
        : running.ended;
      const fired = await this.#strike(trial, held, over);
      const ended = await running.ended;
      assert(!hung, "it hangs");
      await gate.disarm();
      return fired ? ended : undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async #disturbReconnect(
    trial: Trial,
    held: Held,
  ): Promise<Ended | undefined> {
    const { gate } = await this.#get();
    await gate.kill("ssh");
    const back = this.#isBack();
    back.catch(() => {});
    const fired = await this.#strike(trial, held, back);
    if (!fired || !kills(trial)) {
      // Without a place to write, it gives up, and stays closed.
      const mayEnd = fired && trial.step.side === "file";
      assert(await back || mayEnd, "it does not come back");
    }
    await gate.disarm();
    assert(!await gate.leaks(), "it leaks after the fault");
    return fired ? { code: 0, stdout: "", stderr: "" } : undefined;
  }

  /** Brings all back to what it was, and proves that it is. */
  async #isTidy(trial: Trial, ended: Ended | undefined): Promise<void> {
    const { operation, then } = trial;
    const { before } = await this.#get();
    const killed = ended !== undefined && kills(trial);
    if (ended !== undefined && !killed && ended.code !== 0) {
      const errors = said({ ...ended, signal: null }, "error");
      assert(errors.length >= 1, `it says no error: ${ended.stderr}`);
      assert(!ended.stderr.includes("this is a bug"), ended.stderr);
      const up = / connected$/m.test(ended.stdout); // and could not tidy
      const left = /could be undone/.test(ended.stderr);
      if (operation === "connect" && !up && !left) {
        assertEquals(errors.length, 1, ended.stderr);
        return await before.assertSame("after a failure, without -S");
      }
    }
    if (operation !== "reconnect" && killed && then === "start") {
      const begun = await this.#isStopping();
      const { code, stderr } = await this.#pvpn(this.#args);
      assert(!(begun && stderr.includes("taking it over")), stderr);
      // Killed when all was done, or before anything was undone, it has left a
      // tunnel that is up.
      if (code !== 0) assertMatch(stderr, /has the default route already/);
    }
    const stop = await this.#pvpn(["-S"]);
    if (stop.code !== 0) {
      const may = operation === "stop" ||
        operation === "connect" && ended !== undefined;
      assert(may, stop.stderr);
      assertEquals(stop.code, 9, stop.stderr);
      assertMatch(stop.stderr, /no tunnel is up/);
    }
    await before.assertSame("after -S");
  }
}
