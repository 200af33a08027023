import { assertEquals } from "@std/assert";
import { candidates, carriesIpv6 } from "../../lib/candidate.ts";
import type { ConnectRequest } from "../../lib/connect.ts";
import type { Environment } from "../../lib/environment.ts";
import { Registry } from "../../lib/registry.ts";
import {
  type Check,
  INTERFACE_VERSION,
  type TunnelPlugin,
} from "../../lib/tunnel.ts";
import { parseRoute } from "../../lib/address.ts";
import { system } from "./helpers.ts";

const plugin = (
  type: string,
  more: Partial<TunnelPlugin> = {},
): TunnelPlugin => ({
  ...{ version: INTERFACE_VERSION, type, summary: type, device: "tun" },
  ...{ commands: [], checks: () => [], ...more },
  open: () => Promise.reject(new Error("not opened here")),
});

const request = (more: Partial<ConnectRequest>) =>
  (
    { type: "x", routes: [], ipv6: "tunnel", autoNets: false, ...more }
  ) as unknown as ConnectRequest;

function find(plugins: TunnelPlugin[], more: Partial<ConnectRequest>) {
  const registry = () => Promise.resolve(new Registry(plugins));
  const env = { registry, runner: system };
  return candidates(request(more), undefined, env as unknown as Environment);
}

Deno.test("candidates() have one MTU, or with auto the largest and the type's", async () => {
  const mtus = async (own: number | undefined, mtu?: number | "auto") => {
    const one = plugin("x", own === undefined ? {} : { mtu: own });
    const [found] = await find([one], mtu === undefined ? {} : { mtu });
    return [found!.options.mtu, found!.beyondMtu];
  };
  assertEquals(await mtus(undefined), [1500, 1500]);
  assertEquals(await mtus(1420), [1420, 1420]);
  assertEquals(await mtus(1420, 900), [900, 900]);
  assertEquals(await mtus(undefined, "auto"), [16380, 1500]);
  // It carries packets of its own size.
  assertEquals(await mtus(1420, "auto"), [1420, 1420]);
});

Deno.test("candidates() of auto know what connecting would find out", async () => {
  const late: Check = {
    ...{ name: "that", hint: "get it", late: true },
    passes: () => Promise.resolve(false),
  };
  const types = ["ssh-gso", "ssh-3", "ppp"].map((type) =>
    plugin(type, { checks: () => type === "ppp" ? [late] : [] })
  );
  const why = async (type: string) =>
    (await find(types, { type })).map(({ unfit }) => unfit?.message);
  const lacking = '"ppp" needs that';
  assertEquals(await why("auto"), [undefined, undefined, lacking]);
  assertEquals(await why("ppp"), [undefined]);
});

Deno.test("carriesIpv6() minds the MTU of what goes beyond the server", () => {
  const routes = [parseRoute("2001:db8::/32")];
  assertEquals(carriesIpv6(request({ routes }), 1279, true), false);
  assertEquals(carriesIpv6(request({ routes }), 1280, false), true);
});
