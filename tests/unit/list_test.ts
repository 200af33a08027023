import { assertEquals, assertMatch } from "@std/assert";
import { Journal } from "../../lib/journal.ts";
import { list, LIST_VERSION, tunnelInfo } from "../../lib/list.ts";
import { glance, look, type Reading } from "../../lib/live.ts";
import type { TunnelState } from "../../lib/state.ts";
import { StateDir } from "../../lib/state_dir.ts";
import { showList } from "../../lib/watch.ts";
import { PLAIN } from "../../lib/table.ts";
import { query, withRunner } from "./fake_runner.ts";
import {
  failureOf,
  identify,
  system,
  withDir,
  withProcess,
} from "./helpers.ts";
import { NEW, STATE } from "./sample_state.ts";

const SS = ["ss", "-Htinp", "state", "established"];
const SH = ["sh", "-c", /./, "pvpn"];

/** What a listing runs first. */
const first = (stdout = "tun0 0 0\n\n", status = 0) =>
  query([...SH, "tun0", "--", ...SS], { stdout, status });

const socket = {
  ...{ owners: [4712], peer: { address: "192.0.2.7", port: 22 } },
  ...{ rtt: 8.3, mss: 1448, mtu: 1500, congestion: "bbr" },
};
const reading = (at: number, received: number, sent: number): Reading => ({
  at,
  counters: new Map([["tun0", { received, sent }]]),
});

/** The members of one in JSON, which scripts rely on: only ever add to it. */
const INFO = {
  device: "tun0",
  type: "ssh-3",
  state: "up",
  host: "root@proxy",
  local: "10.1.0.1",
  peer: "10.1.0.2",
  local6: null,
  peer6: null,
  routes: ["default", "192.168.0.0/16", "192.0.2.1", "10.9.0.0/16"],
  exclude: ["192.168.1.0/24", "10.9.1.0/24"],
  resolvers: ["10.0.0.53", "fd00::53"],
  domains: ["corp.test"],
  mtu: 1500,
  parallel: 1,
  server: { address: "2001:db8::1", port: 22 },
  since: "2026-01-01T00:00:00.000Z",
  reconnects: 2,
  receivedBytes: 3000,
  sentBytes: 50,
  receivedBytesPerSecond: 4000,
  sentBytesPerSecond: 0,
  rttMilliseconds: 8.3,
  problem: "the connection was lost",
};

Deno.test("tunnelInfo() has all members, whatever is known", () => {
  const live = { alive: true, socket };
  assertEquals(
    tunnelInfo(STATE, live, reading(0, 1000, 50), reading(500, 3000, 50)),
    INFO as unknown,
  );
  const bare = tunnelInfo(
    { ...NEW, pair: "any:any" },
    { alive: false, socket: undefined },
    ...[reading(0, 1, 1), { at: 1, counters: new Map() }] as const,
  );
  assertEquals(Object.keys(bare).sort(), Object.keys(INFO).sort());
  assertEquals(bare.state, "dead");
  const { local, server, since, receivedBytes, sentBytesPerSecond } = bare;
  assertEquals(
    [local, server, since, receivedBytes, sentBytesPerSecond],
    Array(5).fill(null),
  );
});

Deno.test("tunnelInfo() calls none dead whose stop was cut: its routes may be open", () => {
  const live = { alive: false, socket: undefined };
  const none = reading(0, 0, 0);
  const phases = ["connecting", "up", "reconnecting", "stopping"] as const;
  assertEquals(
    phases.map((phase) =>
      tunnelInfo({ ...STATE, phase }, live, none, none).state
    ),
    ["dead", "dead", "dead", "stopping"],
  );
});

Deno.test("tunnelInfo() knows no rate of a device that was made anew", () => {
  const live = { alive: true, socket: undefined };
  const info = tunnelInfo(STATE, live, reading(0, 9, 9), reading(1, 1, 99));
  assertEquals(info.receivedBytesPerSecond, null);
  assertEquals(info.sentBytesPerSecond, 90_000);
  assertEquals(info.rttMilliseconds, null);
});

Deno.test("tunnelInfo() has the IPv6 pair where something is routed to it", () => {
  const words = ["::/0", "via", "fd01:203:405::2", "dev", "tun0"];
  const undo = [{
    ...{ kind: "ip", family: 6, object: "route", words } as const,
  }];
  const live = { alive: true, socket: undefined };
  const none = reading(0, 0, 0);
  const { local6, peer6 } = tunnelInfo({ ...STATE, undo }, live, none, none);
  assertEquals([local6, peer6], ["fd01:203:405::1", "fd01:203:405::2"]);
});

Deno.test("glance() reads counters of devices that are there", async () => {
  const { reading, sockets } = await glance(["lo", "no-such"], system);
  assertEquals([...reading.counters.keys()], ["lo"]);
  const { received, sent } = reading.counters.get("lo")!;
  assertEquals([Number.isInteger(received), received], [true, sent]);
  assertEquals(Array.isArray(sockets), true);
  assertEquals((await glance(["no-such"], system)).reading.counters.size, 0);
});

Deno.test("glance() reads counters, then connections, and takes none for others", async () => {
  const line = `0 0 10.0.0.1:5 192.0.2.7:22 users:(("ssh",pid=4712,fd=3))`;
  const stdout = `tun0 1 2\n\n${line}\n\t rtt:8.3/1\n\ntun0 8 8\n`;
  await withRunner([first(stdout)], async (runner) => {
    const { reading, sockets } = await glance(["tun0"], runner);
    assertEquals([...reading.counters], [["tun0", { received: 1, sent: 2 }]]);
    assertEquals([sockets[0]?.owners, sockets[0]?.rtt], [[4712], 8.3]);
  });
  await withRunner([first("", 127)], async (runner) => {
    const error = await failureOf(() => glance(["tun0"], runner));
    assertMatch(error.message, /^"ss" is not installed/);
  });
});

Deno.test("look() asks the owner where there is one, else the keeper", async () => {
  await withProcess("exec sleep 100", async (id) => {
    const step = { kind: "process", ...id } as const;
    const gone = { ...identify(Deno.pid), start: "1" };
    const states: TunnelState[] = [
      { ...NEW, device: "tun0", undo: [step] },
      { ...NEW, device: "tun1", undo: [step], owner: gone },
      { ...NEW, device: "tun2", undo: [], owner: id },
      { ...NEW, device: "tun3", undo: [{ kind: "process", ...gone }] },
    ];
    const { live } = await look(states, [], system);
    assertEquals([...live.values()].map(({ alive }) => alive), [
      ...[true, false, true, false],
    ]);
  });
  assertEquals((await look([], [], system)).live.size, 0);
});

/** What a listing runs. */
const listing = (running: boolean, counters = "tun0 1 2\n", pid = "4712") =>
  query([...SH, "tun0", "--", ...SH, "alive", new RegExp(`^${pid} `)], {
    stdout: `${counters}\n${running ? `${pid}\n` : ""}`,
  });

async function withState(
  use: (dir: StateDir, state: TunnelState) => Promise<void>,
): Promise<void> {
  await withDir(async (path) => {
    const dir = new StateDir(`${path}/run`);
    await (await dir.lock()).release();
    const { owner: _, ...rest } = STATE;
    const state: TunnelState = { ...rest, phase: "up" };
    await new Journal(dir, state).update({});
    await use(dir, state);
  });
}

Deno.test("list() calls a tunnel dead only if nothing of it changes meanwhile", () =>
  withState(async (dir, state) => {
    await withRunner([first(), listing(false)], async (runner) => {
      const { list: { version, tunnels } } = await list(dir, runner);
      assertEquals([version, tunnels[0]?.state], [LIST_VERSION, "dead"]);
    });
    // It comes back while it is looked at: another keeper has it then.
    const undo = [{ kind: "process", pid: 99, start: "5" }] as const;
    const again = listing(true, "tun0 1 2\n", "99");
    await withRunner([first(), listing(false), again], async (runner) => {
      const { query } = runner;
      runner.query = async (...args) => {
        const output = await query.apply(runner, args);
        if (args[0].includes("alive")) {
          await new Journal(dir, state).update({ undo });
        }
        return output;
      };
      const { list: { tunnels } } = await list(dir, runner);
      assertEquals(tunnels[0]?.state, "up");
    });
  }));

Deno.test("showList() goes on until the signal, or until nobody reads", () =>
  withState(async (dir) => {
    for (const last of ["signal", "reader"]) {
      const stop = new AbortController();
      const printed: string[] = [];
      const print = (text: string) => {
        printed.push(text);
        if (printed.length < 2) return true;
        if (last === "signal") stop.abort();
        return last === "signal";
      };
      const twice = [first(), listing(true), first(), listing(true)];
      await withRunner(twice, async (runner) => {
        const { signal } = stop;
        const env = { dir, runner, signal };
        await showList({ json: true, watch: true }, env, PLAIN, print);
      });
      assertEquals(printed.length, 2);
      for (const line of printed) {
        const { version, tunnels } = JSON.parse(line);
        assertEquals([version, tunnels.length], [1, 1]);
      }
    }
  }));
