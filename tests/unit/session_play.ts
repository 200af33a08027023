/** Sessions whose ssh, and server, are played by a test. */
import { assertEquals } from "@std/assert";
import { PvpnError } from "../../lib/errors.ts";
import { Journal } from "../../lib/journal.ts";
import type { Log } from "../../lib/log.ts";
import { remoteCommand } from "../../lib/remote_script.ts";
import { type Carrier, carry, type SessionContext } from "../../lib/session.ts";
import type { TunnelState } from "../../lib/state.ts";
import { endOf, FakeProcess, FakeRunner } from "./fake_runner.ts";
import { failureOf, within } from "./helpers.ts";
import { REMOTE as REQUEST } from "./sample_state.ts";

/** A tunnel type's part of the script. */
export const SCRIPT = {
  device: "device=${SSH_TUNNEL:-}",
  hold: "printf '\\\\n%s'; read -r _",
};
/** What ssh is told to run. */
export const COMMAND = remoteCommand(SCRIPT, REQUEST);
/** What the script prints when all is well. */
export const READY = [
  ...["pvpn-0123 device=tun3", "pvpn-0123 local=10.1.0.2"],
  ...["pvpn-0123 peer=10.1.0.1", "pvpn-0123 ready"],
];
/** What ssh prints when it has logged in. */
export const AUTHENTICATED =
  'Authenticated to h ([192.0.2.1]:22) using "publickey".';
/** Who the keeper says that it is. */
export const KEEPER = { kind: "process", pid: 4711, start: "99" } as const;
const STAT = `4711 (sh) S ${"0 ".repeat(18)}99 0`;
const END = endOf("4711 99");

/** A session whose process is played by the test. */
export class Play {
  readonly process: Promise<FakeProcess>;
  readonly shown: string[] = [];
  readonly runner: FakeRunner;
  readonly journal = new Journal(
    undefined,
    { undo: [] } as unknown as TunnelState,
  );
  readonly abort = new AbortController();
  readonly result: Promise<Carrier>;
  authenticated = 0;

  /** `fails`: whether it ends in an error, and the keeper with it. */
  constructor(fails: boolean, more: Partial<SessionContext> = {}) {
    const started = Promise.withResolvers<FakeProcess>();
    this.process = started.promise;
    this.runner = new FakeRunner(fails ? [END] : [], (process) => {
      if (process.argv[0] === "perl") { // QuickAck's
        process.stdout.end();
        return process.stderr.end();
      }
      process.stdout.push(STAT);
      started.resolve(process);
    });
    const show = (kind: string) => (message: string) =>
      void this.shown.push(`${kind}: ${message}`);
    const log = { debug: show("debug"), info: show("info") } as unknown as Log;
    this.result = carry(["ssh", "h"], {
      ...{ runner: this.runner, journal: this.journal, log, verbose: false },
      ...{ host: "h", command: COMMAND, device: "tun0", after: "/pvpn" },
      ...{ request: REQUEST, script: SCRIPT, signal: this.abort.signal },
      loginHints: ["an agent may help"],
      authenticated: () => void this.authenticated++,
      ...more,
    });
    this.result.catch(() => {});
  }

  /** Has ssh print lines. */
  async say(...lines: string[]): Promise<void> {
    (await this.process).stderr.push(...lines);
  }

  /** Has ssh end. */
  async end(status: number): Promise<void> {
    const { stdout, stderr } = await this.process;
    stdout.push(`exit ${status}`);
    stdout.end();
    stderr.end();
  }

  async failure(): Promise<PvpnError> {
    const error = await failureOf(() => within(5, this.result));
    this.runner.done();
    assertEquals(this.journal.state.undo, [], "its keeper is still recorded");
    assertEquals((await this.process).released, 1);
    return error;
  }
}
