import { assert, assertEquals } from "@std/assert";
import {
  alive,
  endProcesses,
  parseStat,
  type ProcessId,
  self,
  treeOf,
} from "../../lib/process.ts";
import {
  bounded,
  children,
  failureOf,
  identify,
  runs,
  system,
  until,
  withProcess,
} from "./helpers.ts";

const STAT = "S 1 2 2 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
const isAlive = async (id: ProcessId) =>
  (await alive(system, [id])).has(id.pid);

Deno.test("parseStat() reads the start time behind any name", () => {
  const names = ["sh", "a b", ") S 1 2", "((", "))", "a) Z 0 (b", "", "\\n"];
  for (const name of names) {
    assertEquals(
      parseStat(`4711 (${name}) ${STAT}`),
      { pid: 4711, start: "987654" },
      name,
    );
  }
  assertEquals(identify(Deno.pid).pid, Deno.pid);
});

Deno.test("parseStat() refuses what is not such a line", () => {
  const lines = [
    ...[
      "",
      "4711",
      "4711 (sh)",
      "4711 (sh) S 1",
      `x (sh) ${STAT}`,
      `(sh) ${STAT}`,
    ],
    ...[`-1 (sh) ${STAT}`, `4711 (sh) ${STAT.replace("987654", "x")}`],
  ];
  for (const line of lines) assertEquals(parseStat(line), undefined, line);
});

Deno.test("self() finds this process, and passes on what the command prints", async () => {
  const me = await self(system, ["printf", "%s\\n", "one", "", "$(id) *"]);
  assertEquals(me.id, identify(Deno.pid));
  assertEquals(me.stdout, "one\n\n$(id) *\n");
  const cpu = await Deno.readTextFile("/proc/cpuinfo");
  assertEquals(me.aes, /^(?:flags|Features)\s*:.* aes(?: |$)/m.test(cpu));
});

Deno.test("self() says which program is missing", async () => {
  const error = await failureOf(() => self(system, ["pvpn-no-such-program"]));
  assertEquals(error.code, 4, error.message);
});

Deno.test("alive() knows a process by its start time, too", () =>
  withProcess("exec sleep 60", async (id, child) => {
    assert(await isAlive(id));
    const later = { ...id, start: String(Number(id.start) + 1) };
    assert(!await isAlive(later));
    assert(!await isAlive({ ...id, start: "" }));
    const gone = { pid: 2 ** 22 + 1, start: "1" }; // above pid_max
    assertEquals(
      await alive(system, [gone, id, later, identify(Deno.pid)]),
      new Set([id.pid, Deno.pid]),
    );
    child.kill("SIGKILL");
    await child.status;
    assert(!await isAlive(id));
  }));

Deno.test("alive() does not count a zombie", () =>
  withProcess("sleep 0 & exec sleep 60", async (parent) => {
    await until(() =>
      children(parent.pid).length === 1 && !runs(children(parent.pid)[0]!)
    );
    assert(!await isAlive(identify(children(parent.pid)[0]!)));
  }));

Deno.test("alive() of nobody is nobody", async () => {
  assertEquals(await alive(system, []), new Set());
});

Deno.test("treeOf() gives parents first, and all below", () =>
  withProcess(
    "sleep 60 & sh -c 'sleep 60; :' & wait",
    async (id) => {
      await until(() =>
        children(id.pid).length === 2 &&
        children(id.pid).some((pid) => children(pid).length === 1)
      );
      const [first, second] = children(id.pid);
      const below = [
        first!,
        ...children(first!),
        second!,
        ...children(second!),
      ];
      assertEquals(await treeOf(system, id), [id.pid, ...below].map(identify));
      assertEquals(await treeOf(system, { ...id, start: "1" }), []);
      await endProcesses(system, below.map(identify));
    },
  ));

Deno.test("treeOf() comes to an end while children come and go", () =>
  withProcess("while :; do /bin/true; done", async (id) => {
    for (let i = 0; i < 40; i++) {
      const tree = await treeOf(bounded, id);
      assert(tree.length >= 1 && tree.length < 10, `${tree.length} processes`);
      assertEquals(tree[0], id);
      assertEquals(new Set(tree.map(({ pid }) => pid)).size, tree.length);
    }
  }));
