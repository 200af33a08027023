import { assertEquals, assertMatch } from "@std/assert";
import type { CarryOptions, TunnelContext } from "../../mod.ts";
import { ssh3 } from "../../plugins/ssh_3.ts";
import { parseUndoStep } from "../../lib/undo_step.ts";
import { identity } from "../../lib/user.ts";
import { system } from "./helpers.ts";

const ALICE = {
  ...{ name: "alice", uid: 1000, gid: 100, home: "/home/alice", shell: "" },
};
const OPTIONS = { device: "", mtu: 1500, ipv6: true, resume: false };

/** Opens a tunnel in a context that writes down what it is asked for. */
async function open(resume: boolean, device = "tun12") {
  const asked: unknown[] = [];
  const facts = { device: "tun3" } as never;
  let made = false;
  const context = {
    async ip(undo: unknown[], lines: string[]) {
      for (const step of undo) assertEquals(parseUndoStep(step), step as never);
      asked.push(["ip", undo, lines]);
      await new Promise((resolve) => setTimeout(resolve, 0));
      made = true;
    },
    ssh(options: string[], script: unknown) {
      asked.push(["ssh", options, script]);
      return ["ssh", "argv"];
    },
    async carry(argv: string[], { prepared }: CarryOptions = {}) {
      asked.push(["carry", argv]);
      assertEquals(made, false, "ssh's start does not wait for the device");
      await prepared;
      assertEquals(made, !resume);
      return facts;
    },
  } as unknown as TunnelContext;
  const tunnel = await ssh3.open(context, {
    ...{ device, mtu: 1400, ipv6: false, resume },
    ...identity(ALICE),
  });
  assertEquals(tunnel.remote, facts);
  return asked;
}

const SCRIPT = {
  device: "device=${SSH_TUNNEL:-}",
  hold: "while read -r _; do :; done",
};
const SESSION = [
  ["ssh", ["-oTunnel=point-to-point", "-w", "12:any"], SCRIPT],
  ["carry", ["ssh", "argv"]],
];

Deno.test("ssh-3 makes a device that outlives ssh, and hands it over", async () => {
  assertEquals(await open(false), [
    [
      "ip",
      [{ kind: "ip", family: 4, object: "link", words: ["dev", "tun12"] }],
      [
        "tuntap add dev tun12 mode tun user 1000",
        "link set dev tun12 mtu 1400",
      ],
    ],
    ...SESSION,
  ]);
});

Deno.test("ssh-3 takes the device that is there when it reconnects", async () => {
  assertEquals(await open(true), SESSION);
});

Deno.test("ssh-3 looks for /dev/net/tun, and says how to get it", async () => {
  const [check, ...more] = ssh3.checks({
    ...OPTIONS,
    ...{ uid: 0, asUser: (argv) => [...argv] },
  });
  assertEquals(more, []);
  assertMatch(check!.name, /\/dev\/net\/tun/);
  assertMatch(check!.hint, /modprobe tun/);
  const there = await Deno.stat("/dev/net/tun").then(
    ({ isCharDevice }) => isCharDevice === true,
    () => false,
  );
  assertEquals(
    await check!.passes((argv, how) => system.query(argv, how)),
    there,
  );
});

Deno.test("ssh-3 has the user whom ssh runs as open /dev/net/tun", async () => {
  const checks = ssh3.checks({ ...OPTIONS, ...identity(ALICE) });
  assertEquals(checks.length, 2);
  const check = checks[1]!;
  assertMatch(check.hint, /chmod 666 .*--ssh-user root/);
  for (const status of [0, 2]) {
    const asked: string[] = [];
    const passes = await check.passes((argv) => {
      asked.push(argv.join(" "));
      return Promise.resolve({ status, stdout: "", stderr: "" });
    });
    assertEquals(passes, status === 0);
    assertMatch(asked.join(), /^setpriv .* sh -c : <>\/dev\/net\/tun$/);
  }
});
