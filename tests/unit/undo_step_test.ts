import { assertEquals } from "@std/assert";
import type { ResolverStep } from "../../lib/resolver_step.ts";
import { batchErrors } from "../../lib/undo.ts";
import {
  deleteLink,
  type IpStep,
  parseUndoStep,
  type ProcessStep,
} from "../../lib/undo_step.ts";

const rule = (family: 4 | 6, priority: number): IpStep => ({
  ...{ kind: "ip", family, object: "rule" },
  words: ["priority", `${priority}`, "table", "10000"],
});
const route: IpStep = {
  ...{ kind: "ip", family: 4, object: "route" },
  words: ["10.0.0.0/8", "via", "10.1.0.2", "dev", "tun0"],
};
const keeper: ProcessStep = { kind: "process", pid: 4711, start: "123456" };

Deno.test("parseUndoStep() takes what pvpn writes", () => {
  const names: ResolverStep = {
    kind: "resolver",
    owner: "file",
    device: "tun0",
  };
  for (
    const step of [route, rule(6, 11001), deleteLink("tun0"), keeper, names]
  ) {
    assertEquals<unknown>(
      parseUndoStep(JSON.parse(JSON.stringify(step))),
      step,
    );
  }
});

Deno.test("parseUndoStep() refuses all else", () => {
  const ip = (object: unknown, ...words: unknown[]) => (
    { kind: "ip", family: 4, object, words }
  );
  const bad: unknown[] = [
    ...[null, undefined, 1, "x", [], {}, { kind: "sh" }, { kind: "__proto__" }],
    // `ip link delete` takes whole groups, and more than one word.
    ...[
      ip("link", "group", "0"),
      ip("link", "group", "default"),
      ip("link", "tun0"),
    ],
    ...[
      ip("link", "dev"),
      ip("link", "dev", "tun0", "type", "tun"),
      ip("link"),
    ],
    ...[
      ip("link", "dev", "-a"),
      ip("link", "dev", "."),
      ip("link", "dev", "a/b"),
    ],
    // Objects that delete other things, or run commands.
    ...[
      "netns",
      "address",
      "neigh",
      "tuntap",
      "vrf",
      "",
      null,
      ["link"],
      "-batch",
    ]
      .map((object) => ip(object, "exec", "a", "sh")),
    // Words that would be more than one word, or line, of a batch.
    ...[
      "",
      "a b",
      "a\tb",
      "a\nlink delete dev eth0",
      "a;b",
      "a\\",
      "#",
      "$(id)",
    ]
      .map((word) => ip("route", "10.0.0.0/8", word)),
    ...["a\rb", "'a'", '"', "\u00a0", "\u2028", "a\x00", "*", "~", "{a,b}", "`"]
      .map((word) => ip("rule", word)),
    ...[1, null, ["a"], {}].map((word) => ip("route", word)),
    { ...ip("route"), words: "default" },
    ...[0, 5, "4", null, [4]].map((family) => ({
      ...ip("route", "x"),
      family,
    })),
    ...[-1, 0, 1, 1.5, "4711", null, NaN].map((pid) => ({ ...keeper, pid })),
    ...["", "-1", "1 2", "0x1", 1, null, "1\n"].map((start) => ({
      ...keeper,
      start,
    })),
  ];
  for (const value of bad) {
    assertEquals(parseUndoStep(value), undefined, JSON.stringify(value));
  }
});

Deno.test("parseUndoStep() refuses words that ip would read as options", () => {
  for (const word of ["-", "-j", "-batch", "--", "-force"]) {
    const step = { ...rule(4, 1), words: ["priority", "1", word] };
    assertEquals(parseUndoStep(step), undefined, word);
  }
});

Deno.test("batchErrors() reads lines of several, and no others", () => {
  assertEquals(
    batchErrors({
      status: 1,
      stdout: "",
      stderr: "a\nb\nCommand failed -:12\nc\n",
    }),
    [{ line: 12, reason: "a; b" }],
  );
});
