import { assert, assertEquals, assertMatch } from "@std/assert";
import { ExitCode } from "../../lib/errors.ts";
import { explainSshFailure, findCause } from "../../lib/ssh_failure.ts";
import { CASES } from "./ssh_failure_cases.ts";

for (const { name, lines, code, says, hint } of CASES) {
  Deno.test(`explainSshFailure() tells ${name}`, () => {
    const error = explainSshFailure("proxy", lines, 255);
    assertMatch(error.message, says);
    assertEquals(error.code, code);
    if (hint !== undefined) assertMatch(error.hints.join("\n"), hint);
    assert(!/undefined/.test(error.message + error.hints));
  });
}

Deno.test("explainSshFailure() shows the last words that it does not know", () => {
  const lines = ["debug1: x", "something odd", "debug1: y", "  "];
  const error = explainSshFailure("proxy", lines, 255);
  assertEquals(error.code, ExitCode.ssh);
  assertMatch(error.message, /status 255: something odd$/);
  assertMatch(error.hints.join(), /ssh proxy true/);
});

Deno.test("findCause() tells what may help with a login, and with that alone", () => {
  const hints = (line: string) => findCause("proxy", [line], ["agent"])?.hints;
  const refused = hints("root@proxy: Permission denied (publickey).");
  assertEquals(refused?.[0], "agent");
  assertEquals(
    hints("Host key verification failed.")?.includes("agent"),
    false,
  );
});

Deno.test("explainSshFailure() needs no words at all", () => {
  const { message } = explainSshFailure("proxy", ["debug1: x", ""], 139);
  assertMatch(message, /status 139$/);
});

Deno.test("findCause() knows what others have commands for, and how to name a port", () => {
  const hint = (host: string) => {
    const line = `ssh: Could not resolve hostname ${host}: Name or service`;
    return findCause(host, [line])?.hints.join();
  };
  assertEquals(hint("stop"), "did you mean pvpn --stop?");
  assertEquals(hint("up"), "did you mean pvpn SSH-HOST?");
  assertEquals(
    hint("root@server:2222"),
    "a port is named so: ssh://root@server:2222",
  );
  for (const host of ["constructor", "server", "root@stop"]) {
    assertMatch(hint(host) ?? "", /^look for a typing mistake/);
  }
});
