import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { UsageError } from "../../lib/errors.ts";
import { AUTO, DEFAULT_TYPE, Registry } from "../../lib/registry.ts";
import { INTERFACE_VERSION, type TunnelPlugin } from "../../lib/tunnel.ts";
import { plugins } from "../../plugins/mod.ts";

const plugin = (more: Record<string, unknown> = {}) => (
  {
    ...{
      version: INTERFACE_VERSION,
      type: "mine",
      device: "tun",
      summary: "a",
    },
    ...{ commands: [], checks: () => [], open: () => Promise.reject() },
    ...more,
  } as TunnelPlugin
);

Deno.test("Registry gives a plugin by its type", async () => {
  const [one, two] = [plugin({ type: "one" }), plugin({ type: "two-2" })];
  const registry = new Registry([one, two]);
  assertEquals(registry.plugins, [one, two]);
  assertEquals(await registry.find("two-2"), { plugin: two });
});

Deno.test("Registry names the types that there are", async () => {
  const registry = new Registry([
    plugin({ type: "one" }),
    plugin({ type: "two" }),
  ]);
  for (
    const type of [
      "three",
      "",
      "ONE",
      "__proto__",
      "constructor",
      "one ",
      "../one",
    ]
  ) {
    const error = await assertRejects(() => registry.find(type), UsageError);
    assertMatch(error.hints.join(), /one, two.*-t TYPE/);
    const near = error.hints.includes("did you mean -t one?");
    assertEquals(near, /^(?:ONE|one )$/.test(type), type);
  }
});

Deno.test("Registry refuses types that could not be typed, or are there already", () => {
  for (
    const type of [
      ...["", "A", "-a", "a b", "a/b", "a\n", "../a", "a.b", "\u00e9"],
      AUTO, // means others
    ]
  ) {
    assertThrows(
      () => new Registry([plugin({ type })]),
      TypeError,
      undefined,
      type,
    );
  }
  assertThrows(() => new Registry([plugin(), plugin()]), TypeError);
});

Deno.test("Registry refuses what is not written to this interface", () => {
  for (
    const version of [
      undefined,
      0,
      INTERFACE_VERSION + 1,
      `${INTERFACE_VERSION}`,
    ]
  ) {
    assertThrows(() => new Registry([plugin({ version })]), TypeError);
  }
  for (const nothing of [undefined, null, "ppp", 1, () => {}]) {
    assertThrows(
      () => new Registry([nothing as unknown as TunnelPlugin]),
      TypeError,
      "no default export",
    );
  }
  // A number is added, and the kernel takes 15 bytes.
  for (
    const device of ["", "tun0", "TUN", "a b", "a/b", "abcdefghi", "-a", "."]
  ) {
    assertThrows(
      () => new Registry([plugin({ device })]),
      TypeError,
      undefined,
      device,
    );
  }
});

Deno.test("Registry.choices() gives one type, or for auto several, the fastest first", async () => {
  const types = async (registry: Registry, type: string) =>
    (await registry.choices(type)).map(({ plugin }) => plugin.type);
  const registry = new Registry(plugins);
  assertEquals(await types(registry, "ssh-3"), ["ssh-3"]);
  assertEquals(await types(registry, AUTO), ["ssh-gso", "ssh-3", "ppp"]);
  await assertRejects(() => registry.choices("no-such"), UsageError);
});

Deno.test("Registry takes the plugins that are built in, and the default is one", async () => {
  const registry = new Registry(plugins);
  const { plugin, file } = await registry.find(DEFAULT_TYPE);
  assertEquals([plugin.type, file], [DEFAULT_TYPE, undefined]);
  for (const { summary, type } of registry.plugins) {
    assert(summary.length > 0 && !summary.includes("\n"), type);
  }
});
