import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  contains,
  formatPrefix,
  overlaps,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../../lib/address.ts";
import {
  chooseNetworks,
  NETWORK_LIMIT,
  parseResolvers,
  type Surroundings,
} from "../../lib/auto_nets.ts";
import { ExitCode, PvpnError } from "../../lib/errors.ts";
import { Seeded } from "./fuzz.ts";

const prefix = (text: string) =>
  parsePrefix(text, text.includes(":") ? 6 : 4) as Prefix;
const address = (text: string) => parseAddress(text)!;
const AROUND: Surroundings = {
  taken: ["192.168.1.0/24", "172.17.0.0/16", "192.168.1.1"].map(prefix),
  resolvers: ["192.168.1.1", "9.9.9.9", "fd00::53"].map(address),
  main: [
    { ...prefix("192.168.1.0/24"), attached: true },
    { ...prefix("172.17.0.0/16"), attached: true },
  ],
  server: address("198.51.100.7"),
  ...{ routes: [], exclude: [] },
};

function choose(networks: string[], more: Partial<Surroundings> = {}) {
  const found = networks.map(prefix);
  const choice = chooseNetworks(found, { ...AROUND, ...more });
  const { chosen, exclude, leftOut } = choice;
  return {
    chosen: chosen.map(formatPrefix),
    exclude: exclude.map(formatPrefix),
    leftOut: Object.fromEntries(
      leftOut.map(({ network, reason }) => [formatPrefix(network), reason]),
    ),
  };
}

Deno.test("chooseNetworks() takes what collides with nothing", () => {
  const usual = [
    ...["10.0.0.0/8", "172.16.0.0/24", "100.64.0.0/10", "131.243.0.0/16"],
    ...["203.0.113.9/32", "fd12:3456::/32", "2001:db8::/32"],
  ];
  const { chosen, leftOut } = choose(usual);
  assertEquals(chosen.sort(), usual.toSorted());
  assertEquals(leftOut, {});
});

Deno.test("chooseNetworks() leaves out what a server must not take", () => {
  for (
    const [network, reason] of [
      ["0.0.0.0/0", /belong to no network/],
      ["0.0.0.0/1", /belong to no network/],
      ["128.0.0.0/1", /belong to no network/],
      ["169.0.0.0/8", /belong to no network/], // a cloud's metadata
      ["169.254.169.254/32", /belong to no network/],
      ["127.0.0.0/8", /belong to no network/],
      ["224.0.0.0/4", /belong to no network/],
      ["255.255.255.255/32", /belong to no network/],
      ["::1/128", /belong to no network/],
      ["::ffff:10.0.0.0/104", /belong to no network/],
      ["fe80::/64", /belong to no network/],
      ["ff02::/16", /belong to no network/],
      ["8.0.0.0/7", /too large/],
      ["8.0.0.0/15", /too large/],
      ["10.0.0.0/7", /too large/],
      ["172.0.0.0/8", /too large/],
      ["2000::/3", /too large/],
      ["2001:db0::/28", /too large/],
      ["fc00::/7", /too large/],
      ["192.168.1.0/24", /a route to 192\.168\.1\.0\/24/],
      ["192.168.1.128/25", /a route to 192\.168\.1\.0\/24/],
      ["172.17.3.0/24", /a route to 172\.17\.0\.0\/16/],
      ["198.51.100.0/24", /the server's own address 198\.51\.100\.7/],
      ["198.51.100.7/32", /the server's own address/],
      ["9.9.9.0/24", /resolver 9\.9\.9\.9/],
      ["9.9.9.9/32", /resolver 9\.9\.9\.9/],
      ["fd00::/64", /resolver fd00::53/],
    ] as const
  ) {
    const { chosen, leftOut } = choose([network]);
    assertEquals(chosen, [], network);
    assertMatch(Object.values(leftOut).join(), reason, network);
  }
});

Deno.test("chooseNetworks() takes what is around this machine's own, without it", () => {
  const around = choose(["192.168.0.0/16", "10.0.0.0/8"]);
  assertEquals(around.chosen, ["10.0.0.0/8", "192.168.0.0/16"]);
  assertEquals(around.exclude, ["192.168.1.0/24"]);
  const exclude = [prefix("192.168.0.0/20")];
  assertEquals(choose(["192.168.0.0/16"], { exclude }).exclude, []);
  assertEquals(choose(["192.168.2.0/24"], { exclude }).chosen, []);
  // What somebody hands a route out for is not taken out of the tunnel.
  const main = [{ ...prefix("10.9.0.0/16"), attached: false }];
  assertEquals(choose(["10.0.0.0/8"], { main }).exclude, []);
  const resolvers = [address("10.9.0.1")];
  const exposed = choose(["10.0.0.0/8"], { main, resolvers });
  assertEquals(exposed.chosen, []);
});

Deno.test("chooseNetworks() adds nothing that is routed already", () => {
  const inside = ["10.1.0.0/16", "10.1.2.0/24", "10.1.0.0/16", "10.0.0.0/8"];
  assertEquals(choose(inside), {
    chosen: ["10.0.0.0/8"],
    ...{ exclude: [], leftOut: {} },
  });
  const routes = [prefix("10.1.0.0/16"), "default"] as const;
  assertEquals(
    choose(["10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16"], { routes }),
    {
      chosen: ["10.2.0.0/16"],
      ...{ exclude: [], leftOut: {} },
    },
  );
});

Deno.test("chooseNetworks() refuses more networks than anybody would read", () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => prefix(`10.1.${i}.0/24`));
  assertEquals(
    chooseNetworks(many(NETWORK_LIMIT), AROUND).chosen.length,
    NETWORK_LIMIT,
  );
  const error = assertThrows(
    () => chooseNetworks(many(NETWORK_LIMIT + 1), AROUND),
    PvpnError,
  );
  assertEquals(error.code, ExitCode.server);
});

Deno.test("chooseNetworks() never lets a server take what is not its own", () => {
  const seeded = new Seeded(4);
  const pick = (below: number) => seeded.below(below);
  const any = (): Prefix =>
    prefix(
      `${pick(256)}.${pick(256)}.${pick(256)}.${pick(256)}/${pick(33)}`,
    );
  for (let round = 0; round < 2000; round++) {
    const around = {
      taken: [any(), any()],
      main: [],
      resolvers: [any(), any()],
      server: any(),
      ...{ routes: [], exclude: [] },
    };
    const { chosen } = chooseNetworks([any(), any(), any()], around);
    for (const network of chosen) {
      assert(network.length >= 8);
      assert(
        !contains(network, address(formatPrefix(around.server).split("/")[0]!)),
      );
      assert(!around.taken.some((own) => contains(own, network)));
      assert(!overlaps(network, prefix("169.254.0.0/16")));
    }
  }
});

Deno.test("parseResolvers() reads what resolv.conf(5) may look like", () => {
  const text = "# nameserver 1.1.1.1\nnameserver 9.9.9.9\n" +
    "  nameserver\tfe80::1%eth0 # x\nsearch 8.8.8.8\nnameserver $(id)\n" +
    "nameserver\nnameserverx 1.2.3.4\n; nameserver 1.1.1.2";
  const found = parseResolvers(text).map((
    { family, value },
  ) => [family, value]);
  assertEquals(found, [
    [4, address("9.9.9.9").value],
    [6, address("fe80::1").value],
  ]);
});
