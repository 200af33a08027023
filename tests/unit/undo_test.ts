import { assertEquals, assertRejects } from "@std/assert";
import { undoSteps } from "../../lib/undo.ts";
import {
  deleteLink,
  type IpStep,
  type ProcessStep,
  type UndoStep,
} from "../../lib/undo_step.ts";
import type { Argv, Runner } from "../../lib/command.ts";
import { batch, change, endOf, withRunner } from "./fake_runner.ts";

const rule = (family: 4 | 6, priority: number): IpStep => ({
  ...{ kind: "ip", family, object: "rule" },
  words: ["priority", `${priority}`, "table", "10000"],
});
const route: IpStep = {
  ...{ kind: "ip", family: 4, object: "route" },
  words: ["10.0.0.0/8", "via", "10.1.0.2", "dev", "tun0"],
};
const keeper: ProcessStep = { kind: "process", pid: 4711, start: "123456" };
const IP = (family: 4 | 6) => ["ip", `-${family}`, "-force"];
const carrier: ProcessStep = { kind: "process", pid: 4712, start: "123457" };
const GONE_LINK = batch(["ip", "-4", "-force"], ["link delete dev tun0"]);
const line = (priority: number) =>
  `rule delete priority ${priority} table 10000`;

Deno.test("undoSteps() goes backwards, one ip for each run of one family", async () => {
  const steps = [
    ...[deleteLink("tun0"), keeper, route, rule(6, 1), rule(6, 2), rule(4, 3)],
    rule(6, 4),
  ];
  const failures = await withRunner([
    // First what takes longest: the device, when its user can do no more.
    endOf("4711 123456", GONE_LINK),
    batch(IP(6), [line(4)]),
    batch(IP(4), [line(3)]),
    batch(IP(6), [line(2), line(1)]),
    batch(IP(4), ["route delete 10.0.0.0/8 via 10.1.0.2 dev tun0"]),
  ], (runner) => undoSteps(steps, runner));
  assertEquals(failures, []);
});

Deno.test("undoSteps() takes rules, routes, processes and their device back side by side, after names", async () => {
  const names = { kind: "resolver", owner: "guard", device: "tun0" } as const;
  const steps = [deleteLink("tun0"), keeper, route, rule(6, 1), names];
  const running = new Map<string, () => void>();
  const seen: string[][] = [];
  const change = async ([program = "", family = ""]: Argv) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    running.set(`${program} ${family}`.trim(), resolve);
    await promise;
    return { status: 0, stdout: "ended 0\n0\n", stderr: "" };
  };
  const done = undoSteps(steps, { change } as unknown as Runner);
  for (let stage = 0; stage < 2; stage++) {
    // Whatever is not waited for has begun by then.
    await new Promise((resolve) => setTimeout(resolve));
    seen.push([...running.keys()]);
    const begun = [...running.values()];
    running.clear();
    begun.forEach((end) => end());
  }
  assertEquals(await done, []);
  assertEquals(seen, [["nft -f"], ["sh -c", "ip -6", "ip -4"]]);
});

Deno.test("undoSteps() ends a keeper before what it keeps, which it would start again", async () => {
  await withRunner([
    endOf("4711 123456 4712 123457"),
    batch(IP(4), [line(1)]),
  ], (runner) => undoSteps([rule(4, 1), keeper, carrier], runner));
});

Deno.test("undoSteps() takes back what was done for names, the last first", async () => {
  const owners = ["guard", "resolved", "openresolv", "file"] as const;
  const steps = owners.map((owner) =>
    ({ kind: "resolver", owner, device: "tun0" }) as const
  );
  const failures = await withRunner([
    change(["sh", "-c", /restore "\$1"$/, "pvpn", "tun0"], undefined, {
      status: 1,
      stderr: "Read-only file system",
    }),
    change(["sh", "-c", /^resolvconf -f -d "\$1"/, "pvpn", "tun0.pvpn"]),
    change(["resolvectl", "revert", "tun0"], undefined, { status: 1 }),
    change(
      ["nft", "-f", "-"],
      "add table inet pvpn-tun0\ndelete table inet pvpn-tun0\n",
    ),
    batch(IP(4), [line(1)]),
  ], (runner) => undoSteps([rule(4, 1), ...steps], runner));
  assertEquals(failures.map(({ step }) => step), [steps[3]!]);
});

Deno.test("undoSteps() does nothing for nothing", async () => {
  assertEquals(await withRunner([], (runner) => undoSteps([], runner)), []);
});

// What iproute2 6.1 and 5.10 and kernels print for what is not there.
const GONE = [
  'Cannot find device "tun0"',
  "RTNETLINK answers: No such process",
  "RTNETLINK answers: No such file or directory",
  "RTNETLINK answers: No such device",
  "Error: FIB table does not exist.",
  "Error: ipv4: FIB table does not exist.",
  "RTNETLINK answers: Address family not supported by protocol",
];

Deno.test("undoSteps() takes what is gone already for done", async () => {
  for (const reason of GONE) {
    const stderr = `${reason}\nCommand failed -:1\n`;
    const failures = await withRunner([
      batch(IP(6), [line(1)], { status: 1, stderr }),
    ], (runner) => undoSteps([rule(6, 1)], runner));
    assertEquals(failures, [], reason);
  }
});

Deno.test("undoSteps() takes nothing for gone for what is said beside the cause", async () => {
  const stderr = "sh: 1: kill: No such process\n" +
    "RTNETLINK answers: Device or resource busy\nCommand failed -:1\n";
  const steps = [deleteLink("tun0"), keeper];
  const output = { status: 1, stderr };
  const failures = await withRunner([
    endOf("4711 123456", { ...GONE_LINK, output }),
  ], (runner) => undoSteps(steps, runner));
  assertEquals(failures.map(({ step }) => step), steps.slice(0, 1));
});

Deno.test("undoSteps() goes on after failures, and gives them in their order", async () => {
  const steps: UndoStep[] = [
    route,
    rule(4, 1),
    rule(6, 2),
    rule(6, 3),
    rule(4, 4),
  ];
  const denied = "RTNETLINK answers: Operation not permitted";
  const failures = await withRunner([
    batch(IP(4), [line(4)], {
      status: 1,
      stderr: `${denied}\nCommand failed -:1\n`,
    }),
    batch(IP(6), [line(3), line(2)], {
      status: 1,
      stderr: `RTNETLINK answers: No such process\nCommand failed -:1\n` +
        `Error: odd.\n${denied}\nCommand failed -:2\n`,
    }),
    batch(IP(4), [line(1), "route delete 10.0.0.0/8 via 10.1.0.2 dev tun0"], {
      status: 1,
      stderr: `${denied}\nCommand failed -:1\n${denied}\nCommand failed -:2\n`,
    }),
  ], (runner) => undoSteps(steps, runner));
  assertEquals(failures, [
    { step: route, reason: denied },
    { step: rule(4, 1), reason: denied },
    { step: rule(6, 2), reason: `Error: odd.; ${denied}` },
    { step: rule(4, 4), reason: denied },
  ]);
});

Deno.test("undoSteps() reports a process that does not end, and goes on", async () => {
  for (const before of [[], [deleteLink("tun0")]]) {
    const steps = [rule(4, 1), ...before, keeper];
    const beside = before.length > 0 ? GONE_LINK : undefined;
    const failures = await withRunner([
      endOf("4711 123456", beside, "stays"),
      batch(IP(4), [line(1)]),
    ], (runner) => undoSteps(steps, runner));
    const reason = "process 4711: it, or a process below it, does not end";
    assertEquals(failures, [{ step: keeper, reason }]);
  }
});

Deno.test("undoSteps() forgets nobody where the shell itself fails, however it does", async () => {
  const steps = [rule(4, 1), deleteLink("tun0"), keeper];
  for (const status of [0, 1, 2, 125, 126, 127, 137]) {
    const { argv, input = "" } = GONE_LINK;
    const failures = await withRunner([
      endOf("4711 123456", { ...change(argv, input), output: { status } }, ""),
      batch(IP(4), [line(1)]),
    ], (runner) => undoSteps(steps, runner));
    assertEquals(failures.map(({ step }) => step), steps.slice(1), `${status}`);
  }
});

Deno.test("undoSteps() takes no device for deleted of which ip was not told", async () => {
  const output = { status: 0, stdout: "ended 1\n0\n", stderr: "" };
  const steps = [deleteLink("tun0"), keeper];
  const failures = await withRunner([
    { ...endOf("4711 123456", GONE_LINK), output },
  ], (runner) => undoSteps(steps, runner));
  assertEquals(failures.map(({ step }) => step), steps.slice(0, 1));
});

Deno.test("undoSteps() reports a device that stays, although its users have ended", async () => {
  const stderr = "RTNETLINK answers: Device or resource busy\n" +
    "Command failed -:1\n";
  const steps = [deleteLink("tun0"), deleteLink("tun1"), keeper];
  const lines = ["link delete dev tun1", "link delete dev tun0"];
  for (
    const [output, left] of [
      [{ status: 1, stderr }, [steps[1]!]],
      [{ status: 137, stderr: "" }, steps.slice(0, 2)], // ip was killed
      [{ status: 127, stderr: "sh: 1: ip: not found\n" }, steps.slice(0, 2)],
    ] as const
  ) {
    const failures = await withRunner([
      endOf("4711 123456", batch(IP(4), lines, output)),
    ], (runner) => undoSteps(steps, runner));
    assertEquals(failures.map(({ step }) => step), [...left]);
  }
});

Deno.test("undoSteps() waits for what goes on beside a failure", async () => {
  const slow = Promise.withResolvers<void>();
  let ended = false;
  const change = async ([program]: Argv) => {
    if (program !== "sh") throw new Deno.errors.NotFound("no room");
    await slow.promise;
    ended = true;
    return { status: 0, stdout: "ended 0\n0\n", stderr: "" };
  };
  const done = undoSteps([keeper, route], { change } as unknown as Runner);
  setTimeout(slow.resolve);
  await assertRejects(() => done, Deno.errors.NotFound);
  assertEquals(ended, true);
});

Deno.test("undoSteps() does not take an ip that fails as a whole for success", async () => {
  const steps = [rule(4, 1), rule(4, 2)];
  for (
    const output of [
      { status: 137, stderr: "" }, // killed
      {
        status: 1,
        stderr: "Cannot open netlink socket: Too many open files\n",
      },
      { status: 255, stderr: 'Option "-force" is unknown, try "ip -help".\n' },
    ]
  ) {
    const failures = await withRunner([
      batch(IP(4), [line(2), line(1)], output),
    ], (runner) => undoSteps(steps, runner));
    assertEquals(failures.map(({ step }) => step), steps, output.stderr);
  }
});

Deno.test("undoSteps() reports a device that is there and cannot be deleted", async () => {
  // What the kernel says of `ip link delete dev lo`.
  const stderr =
    "RTNETLINK answers: Operation not supported\nCommand failed -:1\n";
  const failures = await withRunner([
    batch(IP(4), ["link delete dev lo0"], { status: 1, stderr }),
  ], (runner) => undoSteps([deleteLink("lo0")], runner));
  assertEquals(failures.length, 1);
});

Deno.test("undoSteps() lets a bug through", async () => {
  const runner = { change: () => Promise.reject(new TypeError("a bug")) };
  await assertRejects(
    () => undoSteps([route, keeper], runner as never),
    TypeError,
  );
});
