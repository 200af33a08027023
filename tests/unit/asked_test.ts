import { assert, assertEquals } from "@std/assert";
import { type Asked, isFor } from "../../lib/asked.ts";
import { parsePairRequest } from "../../lib/pair.ts";
import type { TunnelState } from "../../lib/state.ts";
import { STATE } from "./sample_state.ts";

const ANY = parsePairRequest("any:any");
const { firstHop: _, ...PLAIN } = STATE;

Deno.test("isFor() knows a tunnel by what was asked for, whatever came of it", () => {
  assert(isFor(PLAIN, STATE, { pair: ANY }));
  const later: Partial<TunnelState> = {
    ...{ device: "tun7", slot: 9, phase: "reconnecting", reconnects: 99 },
    ...{ problem: "x", undo: [], since: "2027-01-01T00:00:00.000Z" },
    server: { address: "192.0.2.77" },
  };
  const { owner: _, ...orphan } = { ...PLAIN, ...later };
  assert(isFor(orphan, STATE, { pair: ANY }));
  // Read back from its file.
  assert(isFor(JSON.parse(JSON.stringify(PLAIN)), STATE, { pair: ANY }));
});

Deno.test("isFor() is for nothing else than what was asked for", () => {
  const others: Partial<Asked>[] = [
    { type: "ppp" },
    { host: "root@other" },
    { sshArgs: [] },
    { sshArgs: ["-p", "2222", "-i", "my  key"] },
    { routes: [] },
    { routes: STATE.routes.slice(1) },
    { routes: STATE.routes.toReversed() },
    { exclude: [] },
    { ipv6: "block" },
    { fallback: true },
    { plugin: "/x.js" },
    { mtu: 1400 },
    { beyondMtu: 1400 },
    { user: { ...STATE.user!, uid: 1001 } },
  ];
  for (const other of others) {
    const asked = { ...STATE, ...other };
    assertEquals(
      isFor(PLAIN, asked, { pair: ANY }),
      false,
      Deno.inspect(other),
    );
  }
  const { user: _, ...root } = STATE;
  assertEquals(isFor(PLAIN, root, { pair: ANY }), false);
});

Deno.test("isFor() takes a pair that was left open for any", () => {
  for (
    const [pair, same] of [
      ...[["any:any", true], ["10.1.0.1:any", true], ["any:10.1.0.2", true]],
      ...[["10.1.0.1:10.1.0.2", true], ["10.1.0.2:any", false]],
      ["10.1.0.1:10.1.0.3", false],
    ] as [string, boolean][]
  ) {
    const wish = { pair: parsePairRequest(pair) };
    assertEquals(isFor(PLAIN, STATE, wish), same, pair);
  }
});

Deno.test("isFor() compares what -s names by its address", () => {
  const is = (state: TunnelState, firstHop?: string) =>
    isFor(state, STATE, { pair: ANY, ...(firstHop ? { firstHop } : {}) });
  assert(is(STATE, "192.0.2.9"));
  assert(is(STATE, "proxy.example"));
  assert(!is(STATE, "192.0.2.8"));
  assert(!is(STATE));
  assert(!is(PLAIN, "192.0.2.9"));
});
