/**
 * Whether a tunnel is what somebody asks for.
 *
 * @module
 */
import { parseAddress } from "./address.ts";
import type { PairRequest } from "./pair.ts";
import type { TunnelState } from "./state.ts";

// Which parts of a state say what was asked for, word for word. The others
// came of it, and change while the tunnel lives; "pair" and "firstHop" begin
// as a wish, and are looked at by themselves.
const ASKED = {
  ...{ version: true, type: true, host: true, sshArgs: true, user: true },
  ...{ routes: true, exclude: true, ipv6: true, fallback: true },
  ...{ mtu: true, beyondMtu: true, parallel: true },
  ...{ dns: true, names: false },
  ...{ plugin: true, pair: false, pairs: false, firstHop: false, pair6: false },
  ...{ autoNets: true, found: false, nat: true },
  ...{ device: false, slot: false },
  ...{ phase: false, owner: false, server: false, since: false },
  ...{ reconnects: false, problem: false, undo: false },
} as const satisfies Record<keyof TunnelState, boolean>;

type Flags = typeof ASKED;

/** The parts of a state that say what was asked for. */
export type Asked = Pick<
  TunnelState,
  { [K in keyof Flags]: Flags[K] extends true ? K : never }[keyof Flags]
>;

/**
 * Whether a tunnel is what somebody asks for.
 *
 * @param state The tunnel's.
 * @param asked What is asked for.
 * @param wish The pair, and what `-s` names: where that is a name, any
 * address may be its own.
 */
export function isFor(
  state: TunnelState,
  asked: Asked,
  wish: { readonly pair: PairRequest; readonly firstHop?: string },
): boolean {
  const parts = (Object.keys(ASKED) as (keyof Flags)[])
    .filter((key): key is keyof Asked => ASKED[key]);
  const same = parts.every((key) =>
    JSON.stringify(state[key]) === JSON.stringify(asked[key])
  );
  const { firstHop } = wish;
  const sameHop = firstHop === undefined || state.firstHop === undefined
    ? firstHop === state.firstHop
    : parseAddress(firstHop) === undefined || firstHop === state.firstHop;
  const [local, peer] = (state.pair ?? "").split(":");
  const fits = (half: PairRequest["local"], text: string | undefined) =>
    half === "any" || half.value === parseAddress(text ?? "")?.value;
  return same && sameHop &&
    fits(wish.pair.local, local) && fits(wish.pair.peer, peer);
}
