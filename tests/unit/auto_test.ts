import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { firstThatFits, surveyPart } from "../../lib/auto.ts";
import type { Candidate } from "../../lib/candidate.ts";
import { ExitCode, PvpnError, UnfitError } from "../../lib/errors.ts";
import { silentLog } from "../../lib/log.ts";
import { RemoteReader } from "../../lib/remote.ts";
import type { RemotePart } from "../../lib/remote_script.ts";
import { findCause } from "../../lib/ssh_failure.ts";
import {
  INTERFACE_VERSION,
  type RemoteCheck,
  type TunnelPlugin,
} from "../../lib/tunnel.ts";
import { NETWORKS } from "../../lib/auto_nets.ts";
import { NAT } from "../../lib/remote_nat.ts";
import { remoteCommand } from "../../lib/remote_script.ts";
import { RESOLVERS_PART } from "../../lib/resolv_conf.ts";
import { failureOf } from "./helpers.ts";
import { REMOTE } from "./sample_state.ts";
import { withSession } from "./remote_session.ts";
import { shells } from "./shells.ts";

function candidate(
  type: string,
  more: { checks?: readonly RemoteCheck[]; unfit?: UnfitError } = {},
): Candidate {
  const plugin: TunnelPlugin = {
    ...{ version: INTERFACE_VERSION, type, summary: type, device: "tun" },
    ...{
      commands: [],
      checks: () => [],
      remoteChecks: () => more.checks ?? [],
    },
    open: () => Promise.reject(new Error("not opened here")),
  };
  const options = {
    ...{ device: "", mtu: 1500, ipv6: false, resume: false, uid: 0 },
    asUser: (argv: readonly string[]) => [...argv],
  };
  return { plugin, options, beyondMtu: 1500, unfit: more.unfit };
}

const check = (name: string, test: string): RemoteCheck => (
  { name, test, hint: `install ${name}` }
);
const unfit = (why: string, code: ExitCode = ExitCode.server) =>
  new UnfitError(code, why, [`mend ${why}`, "or not"]);

/** What is tried and said, where some types end in an error. */
async function play(
  types: readonly Candidate[],
  failures: Readonly<Record<string, PvpnError>>,
  more: { dry?: boolean; survey?: string } = {},
) {
  const tried: string[] = [];
  const said: string[] = [];
  const log = { ...silentLog, info: (line: string) => void said.push(line) };
  const attempt = (type: Candidate, parts: readonly RemotePart[]) => {
    const name = type.plugin.type;
    tried.push(name + (parts.length > 0 ? " with survey" : ""));
    const lacking = parts[0]?.errors?.["lacking"];
    if (more.survey !== undefined && lacking !== undefined) {
      const { message } = lacking(more.survey);
      return Promise.reject(new PvpnError(ExitCode.server, message));
    }
    return failures[name]
      ? Promise.reject(failures[name])
      : Promise.resolve(name);
  };
  const options = { host: "h", dry: more.dry ?? false, log };
  const result = firstThatFits(types, options, attempt);
  const error = await result.then(() => undefined, (error) => error);
  return { tried, said, error, chosen: error ? undefined : await result };
}

const THREE = [
  candidate("a", { checks: [check("perl", "exit 1"), check("tun", "")] }),
  candidate("b", { checks: [check("permit", "exit 1")] }),
  candidate("c", { checks: [check("pppd", "exit 1")] }),
];

Deno.test("firstThatFits() takes the first, and says so", async () => {
  assertEquals(await play(THREE, {}), {
    ...{ tried: ["a with survey"], chosen: "a", error: undefined },
    said: ["auto: a; slower, and not tried: b, c"],
  });
  const dry = await play(THREE, {}, { dry: true });
  assertEquals(dry.said, [
    'auto: a, if "h" can do it; slower, and not tried: b, c',
  ]);
});

Deno.test("firstThatFits() leaves out what this machine cannot do", async () => {
  const here = candidate("a", { unfit: unfit("no perl") });
  assertEquals(await play([here, ...THREE.slice(1)], { b: unfit("no") }), {
    ...{ tried: ["b with survey", "c"], chosen: "c", error: undefined },
    said: [
      ...["auto: not a: no perl", "auto: not b: no"],
      ...["auto: logging in again, for c", "auto: c"],
    ],
  });
});

Deno.test("firstThatFits() tries nothing that the first login has ruled out", async () => {
  assertEquals(await play(THREE, {}, { survey: "0 2" }), {
    ...{ tried: ["a with survey", "c"], chosen: "c", error: undefined },
    said: [
      "auto: not a: the server lacks perl",
      "auto: not b: the server lacks permit",
      ...["auto: logging in again, for c", "auto: c"],
    ],
  });
});

Deno.test("firstThatFits() names each reason where none fits", async () => {
  const { tried, error } = await play(THREE, {}, { survey: "0 1 2 3" });
  assertEquals(tried, ["a with survey"]);
  assertEquals(
    error.message,
    'no tunnel type can be used with "h": a: the server lacks perl and tun; ' +
      "b: the server lacks permit; c: the server lacks pppd",
  );
  assertEquals(error.code, ExitCode.server);
  assertEquals(error.hints, [
    ...["for a: type there: install perl", "for b: type there: install permit"],
    "for c: type there: install pppd",
  ]);
  const here = unfit("not here", ExitCode.missingProgram);
  const none = await play([candidate("a", { unfit: here })], {});
  assertEquals([none.tried, none.error.code], [[], ExitCode.missingProgram]);
});

Deno.test("firstThatFits() goes on after what is the type's fault only", async () => {
  const lost = new PvpnError(ExitCode.ssh, "the connection was lost");
  const { tried, error } = await play(THREE, { a: lost });
  assertEquals([tried, error], [["a with survey"], lost]);
  // A server that says what nobody asked.
  const odd = await play(THREE, {}, { survey: "-1 99 2 x __proto__" });
  assertEquals(odd.tried, ["a with survey"]);
  assertMatch(odd.error.message, /set-up failed: -1 99/);
});

const AS_ROOT = (command: string) => command.replace("$(id -u)", "0");

for (const shell of shells) {
  Deno.test(`${shell}: a server that has what the first type needs goes on`, async () => {
    let called = false;
    const part = surveyPart([
      candidate("a", { checks: [check("x", "cat"), check("y", "exit 2")] }),
      candidate("b", { checks: [check("z", "exit 1")] }),
    ], () => called = true);
    const options = { parts: [part], edit: AS_ROOT };
    await withSession(shell, options, async (session) => {
      assertEquals((await session.facts()).device, "lo");
      assertEquals([called, session.other], [false, []]);
    });
  });

  Deno.test(`${shell}: a server that has not says what it lacks for all`, async () => {
    let lacking: ReadonlyMap<string, PvpnError> = new Map();
    const loud = check("x", "echo out; echo err >&2; lacking=; false");
    const part = surveyPart([
      candidate("a", { checks: [check("w", "true"), loud] }),
      candidate("b", { checks: [check("y", "exit 2")] }),
      candidate("c", { checks: [check("z", "exit 7"), loud] }),
    ], (found) => lacking = found);
    const options = { parts: [part], edit: AS_ROOT };
    await withSession(shell, options, async (session) => {
      await failureOf(() => session.facts());
      assertEquals(session.log(), [], "it has set something up");
      assertEquals(session.other, []);
    });
    const said = [...lacking].map(([type, { message }]) => [type, message]);
    assertEquals(said, [
      ["a", "the server lacks x"],
      ["c", "the server lacks z and x"],
    ]);
    for (const error of lacking.values()) assert(error instanceof UnfitError);
  });

  Deno.test(`${shell}: the survey leaves the search for addresses as it is`, async () => {
    const part = surveyPart([
      candidate("a", { checks: [check("x", "true")] }),
      candidate("b"),
    ], () => {});
    const ip = "case $* in *match*) echo '10.1.0.0/16 dev eth0' ;; esac";
    const options = { parts: [part], edit: AS_ROOT, ip };
    await withSession(shell, options, async (session) => {
      const { message } = await failureOf(() => session.facts());
      assertMatch(message, /"10\.1\.0\.0\/16"/);
    });
  });

  Deno.test(`${shell}: a login that is not root's is told so`, async () => {
    const part = surveyPart(THREE, () => {});
    const edit = (command: string) => command.replace("$(id -u)", "1000");
    await withSession(shell, { parts: [part], edit }, async (session) => {
      const error = await failureOf(() => session.facts());
      assertMatch(error.message, /login is not root's/);
      assert(!(error instanceof UnfitError));
    });
  });
}

Deno.test("no part of the server's script takes another's name for a function", () => {
  const parts = [
    ...[RESOLVERS_PART, NAT, NETWORKS],
    surveyPart(THREE, () => {}),
  ];
  const text = remoteCommand({ hold: ":" }, { ...REMOTE, parts });
  const names = [...text.matchAll(/^ *(\w+)\(\)/gm)].map(([, name]) => name);
  assert(names.includes("taken") && names.includes("look"), names.join());
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  assertEquals(twice, []);
});

Deno.test("what a type brings, or -w, is the type's fault; what all need is not", () => {
  const script = { errors: { perl: () => ({ message: "m", hints: [] }) } };
  const said = (text: string) => {
    const reader = new RemoteReader(REMOTE, script);
    return assertThrows(() => reader.read(`${REMOTE.token} error=${text}`));
  };
  for (const text of ["perl", "device x"]) {
    assert(said(text) instanceof UnfitError, text);
  }
  for (const text of ["ip no", "missing ip", "address 1 2 3", "other"]) {
    assert(!(said(text) instanceof UnfitError), text);
  }
  const cause = (line: string) => findCause("h", [line]);
  const refused =
    "debug1: Remote: Server has rejected tunnel device forwarding";
  assert(cause(refused) instanceof UnfitError);
  assert(!(cause("Host key verification failed.") instanceof UnfitError));
});
