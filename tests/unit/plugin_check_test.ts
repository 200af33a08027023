import { assertEquals, assertMatch } from "@std/assert";
import { pluginFault } from "../../lib/plugin_check.ts";
import { INTERFACE_VERSION } from "../../lib/tunnel.ts";
import { plugins } from "../../plugins/mod.ts";

const GOOD = {
  ...{ version: INTERFACE_VERSION, type: "mine", device: "tun", summary: "a" },
  ...{ commands: ["ip"], checks: () => [], open: () => {} },
};

Deno.test("pluginFault() takes what is written to the interface", () => {
  for (const plugin of [GOOD, { ...GOOD, mtu: 1420 }, ...plugins]) {
    assertEquals(pluginFault(plugin), undefined);
  }
});

Deno.test("pluginFault() names the member that is missing", () => {
  for (const name of Object.keys(GOOD).filter((name) => name !== "version")) {
    const found = pluginFault({ ...GOOD, [name]: undefined });
    assertEquals(found, `it has no "${name}"`);
  }
});

Deno.test("pluginFault() names the member that is wrong", () => {
  const wrong: Readonly<Record<string, readonly unknown[]>> = {
    type: [1, "", "A", "-a", "a b", "../a"],
    summary: [1, "", "two\nlines", "\u009b2J", "a".repeat(61)],
    device: [1, "", "tun0", "abcdefghi", "../a"],
    commands: ["ip", [1], [""], ["-x"], ["/bin/ip"], ["a b"], ["a,b"]],
    mtu: ["1500", 575, NaN, 1500.5, Infinity],
    ...{ checks: [[], {}], open: [null, "open"] },
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const found = pluginFault({ ...GOOD, [name]: value });
      assertMatch(
        found ?? "",
        new RegExp(`^its "${name}" is not `),
        `${value}`,
      );
    }
  }
});

Deno.test("pluginFault() tells versions apart", () => {
  const fault = (version: unknown) => pluginFault({ ...GOOD, version });
  const ours = `of the interface, and this is version ${INTERFACE_VERSION}`;
  assertEquals(fault(99), `it is written to version 99 ${ours}`);
  for (const version of [undefined, String(INTERFACE_VERSION), null]) {
    assertEquals(fault(version), `it is written to no version ${ours}`);
  }
});

Deno.test("pluginFault() refuses what is no object", () => {
  for (const value of [undefined, null, "ppp", 1, () => {}]) {
    assertMatch(pluginFault(value) ?? "", /no default export/);
  }
});
