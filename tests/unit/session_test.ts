import { assert, assertEquals, assertMatch } from "@std/assert";
import { InterruptedError, PvpnError } from "../../lib/errors.ts";
import { formatPair } from "../../lib/pair.ts";
import { failureOf, within } from "./helpers.ts";
import { AUTHENTICATED, COMMAND, KEEPER, Play, READY } from "./session_play.ts";

Deno.test("carry() writes the keeper down before it runs anything", async () => {
  const play = new Play(false);
  const process = await play.process;
  process.onWrite = () => assertEquals(play.journal.state.undo, [KEEPER]);
  assertEquals(process.argv.slice(0, 2), ["sh", "-c"]);
  assertEquals(process.argv.slice(3), [
    "pvpn-keeper",
    "/pvpn",
    "tun0",
    "ssh",
    "h",
  ]);
  await play.say(...READY);
  const { keeper, facts } = await within(5, play.result);
  assertEquals(process.written, ["go\n"]);
  assertEquals([facts.device, formatPair(facts.pair)], [
    ...["tun3", "10.1.0.1:10.1.0.2"],
  ]);
  assertEquals(keeper.id, { pid: 4711, start: "99" });
  assertEquals(process.released, 0);
});

Deno.test("carry() runs nothing before the set-up here is done", async () => {
  const prepared = Promise.withResolvers<void>();
  const play = new Play(false, { prepared: prepared.promise });
  const process = await play.process;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(process.written, []);
  prepared.resolve();
  await play.say(...READY);
  await within(5, play.result);
});

Deno.test("carry() runs nothing when the set-up here has failed", async () => {
  const why = new PvpnError(7, "no tun");
  const play = new Play(false, { prepared: Promise.reject(why) });
  assertEquals(await failureOf(() => play.result), why);
  const process = await play.process;
  assertEquals([process.written, process.released], [[], 1]);
});

Deno.test("carry() runs nothing when it was interrupted", async () => {
  const signal = AbortSignal.abort(new InterruptedError("SIGINT"));
  const play = new Play(true, { signal });
  assertEquals((await play.failure()).code, 130);
  assertEquals((await play.process).written, []);
});

Deno.test("carry() ends its waiting when it is interrupted", async () => {
  const play = new Play(true);
  await play.say(AUTHENTICATED);
  play.abort.abort(new InterruptedError("SIGTERM"));
  assertEquals((await play.failure()).code, 130);
});

Deno.test("carry() tells when ssh has logged in", async () => {
  const play = new Play(false);
  await play.say("debug1: Authenticating to h:22 as 'root'");
  await play.say("Not Authenticated to h", AUTHENTICATED, ...READY);
  await within(5, play.result);
  assertEquals(play.authenticated, 1);
});

Deno.test("carry() has ssh send at once until the server's script speaks", async () => {
  const before = ["debug1: Connecting to h", "debug1: Connection established."];
  for (const port of [22, undefined]) { // without: a proxy connects
    const play = new Play(false, port === undefined ? {} : { port });
    await play.say(...before, ...before, "x", AUTHENTICATED, ...before);
    await play.say(...READY);
    await within(5, play.result);
    const [, ...quick] = play.runner.started;
    assertEquals(quick.map(({ argv }) => argv.slice(-2)), [
      ...port === undefined ? [] : [["4711", "22"]],
    ]);
    for (const { written, released } of quick) {
      assertEquals([written, released], [["\n", "\n"], 1]);
    }
  }
});

Deno.test("carry() lets ssh alone again when it fails", async () => {
  const play = new Play(true, { port: 22 });
  await play.say("debug1: Connection established.");
  await play.end(255);
  await play.failure();
  assertEquals(play.runner.started[1]?.released, 1);
});

Deno.test("carry() shows what a user should see, and nothing twice", async () => {
  const play = new Play(false, { chatter: /^Using interface / });
  await play.say(
    ...["OpenSSH_9.2p1 Debian", "debug1: Connecting", "", "  ", AUTHENTICATED],
    ...["Using interface ppp0", "Warning: Permanently added 'h'", "Welcome!"],
    ...["ssh: something", "Transferred: sent 1", "Bytes per second: sent 1"],
    ...READY,
  );
  await within(5, play.result);
  assertEquals(play.shown, [
    ...["info: ssh: Warning: Permanently added 'h'", "info: ssh: Welcome!"],
    "info: ssh: something",
  ]);
});

Deno.test("carry() shows everything with -d, but the script only once", async () => {
  const play = new Play(false, { verbose: true });
  // What ssh makes of the command: backslashes doubled, cut at 1 KiB.
  const echo = `debug1: Sending command: ${COMMAND}`.replaceAll("\\", "\\\\");
  for (const length of [1023, 700, 26, 300]) {
    await play.say("debug1: before", ...echo.slice(0, length).split("\n"));
  }
  await play.say("debug1: after", "+ server: set -f", ...READY);
  await within(5, play.result);
  assertEquals(play.shown.slice(0, -1), [
    ...Array(4).fill("debug: debug1: before"),
    "debug: debug1: after",
  ]);
  assertMatch(
    play.shown.at(-1)!,
    /^debug: \+ server: set -f {2}# \d+\.\d{3} s$/,
  );
});

Deno.test("carry() shows lines that only look like the script's", async () => {
  const play = new Play(false, { verbose: true });
  const line = COMMAND.split("\n")[3]!;
  await play.say(line, "}", ...READY);
  await within(5, play.result);
  assertEquals(play.shown, [`debug: ${line}`, "debug: }"]);
});

Deno.test("carry() waits for the carrier itself, too", async () => {
  for (const order of [["local up", ...READY], [...READY, "local up"]]) {
    const play = new Play(false, { until: (line) => line === "local up" });
    await play.say(...order.slice(0, -1));
    let ready = false;
    play.result.then(() => ready = true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals(ready, false);
    await play.say(...order.slice(-1));
    await within(5, play.result);
  }
});

Deno.test("carry() explains why ssh ended", async () => {
  const play = new Play(true);
  await play.say("debug1: x", "root@h: Permission denied (publickey).");
  await play.end(255);
  const { code, message } = await play.failure();
  assertEquals(code, 5);
  assertMatch(message, /refused the login; it takes: publickey/);
});

Deno.test("carry() asks the tunnel type, where ssh says nothing that is known", async () => {
  const why = new PvpnError(7, "pppd could not agree");
  const explain = (status: number, lines: readonly string[]) =>
    status === 10 && lines.includes("LCP: timeout") ? why : undefined;
  const unknown = new Play(true, { explain });
  await unknown.say("LCP: timeout");
  await unknown.end(10);
  assertEquals(await unknown.failure(), why);
  const known = new Play(true, { explain });
  await known.say("Host key verification failed.", "LCP: timeout");
  await known.end(10);
  assertMatch((await known.failure()).message, /host key/);
});

Deno.test("carry() explains why ssh ended although somebody keeps its stderr open", async () => {
  const play = new Play(true);
  await play.say("Host key verification failed.");
  const { stdout } = await play.process;
  stdout.push("exit 255");
  stdout.end();
  assertMatch((await play.failure()).message, /host key of "h" is not known/);
});

Deno.test("carry() says that the server did not run the set-up", async () => {
  const play = new Play(true);
  await play.say(AUTHENTICATED, "This account is for git only.");
  await play.say(
    "debug1: client_input_channel_req: channel 1 rtype exit-status reply 0",
  );
  const { code, message, hints } = await play.failure();
  assertEquals(code, 6);
  assertMatch(
    message,
    /did not run the set-up: This account is for git only\.$/,
  );
  assertMatch(hints.join(), /ForceCommand/);
});

Deno.test("carry() says that a key has a command of its own", async () => {
  const play = new Play(true);
  await play.say(
    "debug1: Remote: /root/.ssh/authorized_keys:1: key options: command pty",
    AUTHENTICATED,
    "debug1: client_input_channel_req: channel 1 rtype exit-status reply 0",
  );
  const { code, message, hints } = await play.failure();
  assertEquals(code, 6);
  assertMatch(message, /authorized_keys has for your key, not the set-up$/);
  assertMatch(hints.join(), /take command= away/);
});

Deno.test("carry() hears the script's error behind its exit status", async () => {
  const play = new Play(true);
  await play.say(
    "debug1: client_input_channel_req: channel 1 rtype exit-status reply 0",
    "pvpn-0123 error=missing ip",
  );
  assertMatch((await play.failure()).message, /no "ip" program/);
});

Deno.test("carry() refuses a server that prints without end", async () => {
  const play = new Play(true);
  await play.say(...Array(10_000).fill("spam"));
  const { code, message } = await play.failure();
  assertEquals(code, 6);
  assertMatch(message, /without end/);
  assert(play.shown.length <= 5000);
});

Deno.test("carry() keeps no more of a server's noise than it needs", async () => {
  const play = new Play(true);
  await play.say("Host key verification failed.", ...Array(1000).fill("spam"));
  await play.end(255);
  assertMatch((await play.failure()).message, /status 255: spam$/);
});

Deno.test("carry() refuses an answer that makes no sense", async () => {
  const play = new Play(true);
  await play.say("pvpn-0123 device=../../x", ...READY.slice(1));
  assertEquals((await play.failure()).code, 6);
});
