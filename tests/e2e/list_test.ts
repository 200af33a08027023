/** What `-l` tells: for people, for programs, again and again, of the dead. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { TunnelInfo, TunnelList } from "../../lib/list.ts";
import { ADDRESS, type Lab } from "../lab/lab.ts";
import { pvpn, pvpnBinary } from "../lab/pvpn.ts";
import { reach } from "../lab/reach.ts";
import { Terminal } from "../lab/terminal.ts";
import { connect, SSH_3, suite, up } from "./helpers.ts";
import { start } from "./running.ts";

const test = suite({ jump: false });

async function listed(lab: Lab, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await pvpn(lab, ["-l", ...args]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

/** What a terminal obeys, as text. */
const visible = (text: string) => text.replaceAll("\x1b", "ESC");

async function json(lab: Lab): Promise<TunnelList> {
  const text = await listed(lab, "--json");
  assertMatch(text, /^[^\n]+\n$/);
  return JSON.parse(text) as TunnelList;
}

test("-l lists the tunnels", async (lab) => {
  const rows = async () =>
    (await listed(lab)).trim().split("\n").map((line) => line.split(/ {2,}/));
  const title = ["DEVICE", "TYPE", "STATE", "ADDRESSES", "HOST"];
  assertEquals(await rows(), [title]);
  const args = ["-i", "10.9.9.1:10.9.9.2", "root@server"];
  await using _ = await up(lab, [...args, "10.88.0.0/24", ADDRESS.public]);
  await using second = await up(lab, ["root@10.77.0.1"]);
  const { local, peer } = await second.pair();
  const [first, tun0, routes, history, traffic, tun1, ...more] = await rows();
  assertEquals([first, tun0, routes, tun1], [
    title,
    ["tun0", "ssh-3", "up", "10.9.9.1:10.9.9.2", "root@server"],
    ["", `routes 10.88.0.0/24 ${ADDRESS.public}`],
    ["tun1", "ssh-3", "up", `${local}:${peer}`, "root@10.77.0.1"],
  ]);
  assertMatch(
    history![1]!,
    /^up \d+ s, since [\d-]{10} [\d:]{5}, RTT \d+(\.\d+)? ms to 10\.77\.0\.1$/,
  );
  assertMatch(
    traffic![1]!,
    /^received \S+ k?B \(\S+ k?B\/s\), sent \S+ k?B \(\S+ k?B\/s\)$/,
  );
  assertEquals(more.length, 2, "tun1 has no routes to tell");
});

test("-l --json says what is so, and has all that pvpn(8) names", async (lab) => {
  assertEquals((await json(lab)).tunnels, []);
  const before = Date.now();
  await using tunnel = await up(lab, [
    ...["--mtu", "1400", "-x", "10.88.0.128/25"],
    ...["root@server", "10.88.0.0/24", "default"],
  ]);
  const { version, time, tunnels: [first] } = await json(lab);
  assertEquals(version, 1);
  assert(Math.abs(Date.parse(time) - Date.now()) < 10_000);
  const { local, peer } = await tunnel.pair();
  const page = await Deno.readTextFile(
    new URL("../../man/pvpn.8", import.meta.url),
  );
  for (const name of Object.keys(first!)) {
    assertMatch(page, new RegExp(`^\\.It .*Va ${name}\\b`, "m"));
  }
  const { since, rttMilliseconds, local6, peer6, ...rest } = first!;
  const { receivedBytes, sentBytes, ...info } = rest;
  const { receivedBytesPerSecond, sentBytesPerSecond, ...plain } = info;
  assertEquals<Partial<TunnelInfo>>(plain, {
    ...{ device: tunnel.device, type: "ssh-3", state: "up", local, peer },
    ...{ host: "root@server", routes: ["10.88.0.0/24", "default"] },
    ...{
      exclude: ["10.88.0.128/25"],
      resolvers: [],
      domains: [],
      mtu: 1400,
      parallel: 1,
    },
    ...{ server: { address: ADDRESS.server, port: 22 }, reconnects: 0 },
    problem: null,
  });
  const age = Date.parse(since!) - before;
  assert(age >= 0 && age < 60_000, since!);
  assert(rttMilliseconds! > 0 && rttMilliseconds! < 5000);
  assertMatch(`${local6} ${peer6}`, /^fd\S+::1 fd\S+::2$/);
  assert(receivedBytesPerSecond! >= 0 && sentBytesPerSecond! >= 0);
  assertEquals(await reach(lab.client, ADDRESS.inet), { from: "10.88.0.1" });
  const { tunnels: [after] } = await json(lab);
  assert(after!.receivedBytes! > receivedBytes!);
  assert(after!.sentBytes! > sentBytes!);
});

test("a tunnel whose processes have been killed is dead, not up", async (lab) => {
  const { client } = lab;
  assertEquals((await connect(lab, ["root@server", "default"])).code, 0);
  for (const { pid } of await client.processes()) {
    await client.kill(pid, "SIGKILL");
  }
  const text = await listed(lab);
  assertMatch(text, /^tun0 +ssh-3 +dead /m);
  assert(!/ up /.test(text), text);
  const [, command = ""] = /to open them: pvpn (.*)$/m.exec(text) ?? [];
  const { tunnels: [info] } = await json(lab);
  assertEquals([info?.state, info?.rttMilliseconds], ["dead", null]);
  assertEquals(
    (await pvpn(lab, command.split(" "))).stdout,
    "tun0 disconnected\n",
  );
  assertEquals((await json(lab)).tunnels, []);
});

test("one that cannot come back says why, and is not dead", async (lab) => {
  assertEquals((await connect(lab, ["root@server", "10.88.0.0/24"])).code, 0);
  await lab.stopSshd();
  let info: TunnelInfo | undefined;
  while (info?.problem == null) info = (await json(lab)).tunnels[0];
  assertEquals(info.state, "reconnecting");
  assertMatch(info.problem, /^no connection to "server", port 22/);
  await lab.startSshd();
  while (info?.state !== "up") info = (await json(lab)).tunnels[0];
  assertEquals([info.reconnects, info.problem], [1, null]);
  assertMatch(await listed(lab), /, came back once, RTT /);
  await pvpn(lab, ["-S"]);
});

test("-l fits a terminal, in colours unless NO_COLOR says no", async (lab) => {
  const routes = Array.from({ length: 9 }, (_, i) => `10.99.${100 + i}.0/24`);
  await using _ = await up(lab, ["root@server", ...routes]);
  const at = async (set: string) => {
    const command = `stty cols 60; ${set} ${pvpnBinary()} -l`;
    const { code, shown } = await new Terminal(lab.client, command).ended();
    assertEquals(code, 0, shown);
    return shown.replaceAll("\r", "").trimEnd().split("\n");
  };
  const [plain, color, wide] = await Promise.all([
    at("NO_COLOR=1"),
    at(""),
    at("NO_COLOR=1 COLUMNS=200"),
  ]);
  for (const line of plain) assert(line.length <= 60, line);
  assert(plain.length > 5, "the routes are on several lines");
  assertMatch(plain[1]!, /^tun0 +ssh-3 +up +10\.\S+ +root@/);
  assertMatch(visible(color[1]!), /^tun0 +ssh-3 +ESC\[32mup +ESC\[0m/);
  assertEquals(wide[2], `  routes ${routes.join(" ")}`);
});

test("--watch goes on until ^C, which is its end and no failure", async (lab) => {
  await using _ = await up(lab, ["root@server"]);
  const running = start(lab, ["--list", "--watch", "--json"]);
  const first = JSON.parse((await running.firstOutput)!) as TunnelList;
  while (Date.now() < Date.parse(first.time) + 1200) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await running.kill("SIGINT");
  const { code, stdout, stderr } = await running.ended;
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  const all = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert(all.length >= 2, stdout);
  for (const { tunnels } of all) assertEquals(tunnels[0].state, "up");
  const script = '"$@" -l --watch | head -n 1';
  const argv = ["sh", "-c", script, "sh", pvpnBinary()];
  const headed = await lab.client.run(argv, { timeout: 20_000 });
  assertEquals([headed.code, headed.signal], [0, null]);
  assertMatch(headed.stdout, /^DEVICE/);
});

test("--watch rewrites a terminal's screen", async (lab) => {
  const command = `exec ${pvpnBinary()} ${SSH_3.join(" ")} -l --watch`;
  const refused = await new Terminal(lab.client, command).ended();
  assertEquals(refused.code, 2, refused.shown);
  const watch = `exec ${pvpnBinary()} -l --watch`;
  const terminal = new Terminal(lab.client, watch);
  await terminal.sees(/DEVICE[^]*\[HDEVICE/);
  await terminal.type("\x03");
  const { code, shown } = await terminal.ended();
  assertEquals(code, 0, shown);
  assertMatch(
    visible(shown),
    /^ESC\[HDEVICE[^\n]*ESC\[K\r\n(?:\^C)?ESC\[J/,
  );
});
