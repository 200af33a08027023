import { assertEquals, assertMatch } from "@std/assert";
import { silentLog } from "../../lib/log.ts";
import { notifier } from "../../lib/notify.ts";
import { change, FakeRunner, withRunner } from "./fake_runner.ts";

const SOCKET = "/run/systemd/notify";

Deno.test("notifier() is silent where no service manager listens", () =>
  withRunner([], async (runner) => {
    for (const socket of [undefined, ""]) {
      await notifier(socket, runner, silentLog)({ status: "x" });
    }
  }));

Deno.test("notifier() tells status and event by systemd-notify", () =>
  withRunner([
    change([
      ...["env", `NOTIFY_SOCKET=${SOCKET}`, "systemd-notify"],
      ...["--status=tun0 connected to root@work", "READY=1"],
    ]),
    change([
      ...["env", `NOTIFY_SOCKET=${SOCKET}`, "systemd-notify"],
      "--status=tun0 reconnecting: ?[2J no",
    ]),
  ], async (runner) => {
    const notify = notifier(SOCKET, runner, silentLog);
    await notify({ status: "tun0 connected to root@work", event: "READY=1" });
    // It may quote what a server said.
    await notify({ status: "tun0 reconnecting: \x1b[2J\nno" });
  }));

Deno.test("notifier() warns where it cannot tell, and fails nothing", async () => {
  const warned: string[] = [];
  const warn = (text: string) => void warned.push(text);
  const runner = new FakeRunner([
    change(["env", /./, "systemd-notify", "--status=x"], undefined, {
      ...{ status: 127, stderr: "env: 'systemd-notify': No such file\n" },
    }),
  ]);
  await notifier(SOCKET, runner, { ...silentLog, warn })({ status: "x" });
  runner.done();
  assertEquals(warned.length, 1);
  assertMatch(warned[0]!, /could not be told: .*systemd-notify/);
});
