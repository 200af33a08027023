/** The server's script, run by the shells that servers have. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatPair } from "../../lib/pair.ts";
import { failureOf } from "./helpers.ts";
import { changes, scriptTest, type Session } from "./remote_session.ts";

const UP = [
  "address add 10.1.0.2 peer 10.1.0.1 dev lo",
  "link set dev lo mtu 1400 up",
];
const UNDONE = [
  "address delete 10.1.0.2 peer 10.1.0.1 dev lo",
  `link set dev lo mtu ${
    Deno.readTextFileSync("/sys/class/net/lo/mtu").trim()
  } ${
    Number(Deno.readTextFileSync("/sys/class/net/lo/flags")) & 1 ? "up" : "down"
  }`,
];

scriptTest(
  "sets up, says so, and undoes it at the end of input",
  {},
  async (session) => {
    const { device, pair } = await session.facts();
    assertEquals([device, formatPair(pair)], ["lo", "10.1.0.1:10.1.0.2"]);
    assertEquals(changes(session), UP);
    await session.end();
    assertEquals(changes(session), [...UP, ...UNDONE].sort());
    assertMatch(session.sshd(), /^ended$/m);
    assertEquals(session.other, []);
  },
);

scriptTest("leaves a device alone that has its name, and is another's by now", {
  script: { hold: "while read -r _; do :; done; index=4711" },
}, async (session) => {
  await session.facts();
  await session.end();
  assertEquals(changes(session), UP);
});

for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
  scriptTest(`undoes at ${signal}`, {}, async (session) => {
    await session.facts();
    await session.kill(signal);
    assertEquals(changes(session), [...UP, ...UNDONE].sort());
  });
}

// Tracing writes where nobody reads any more.
for (const trace of [false, true]) {
  scriptTest(
    `undoes when the client vanishes, ${trace ? "with" : "without"} -d`,
    { trace },
    async (session) => {
      await session.facts();
      await session.vanish();
      assertEquals(changes(session), [...UP, ...UNDONE].sort());
    },
  );
}

const TYPE = {
  device: 'one=$1 two=$2; device=lo; tell count "$#"; tell two "$2"',
  undo: 'echo "$one $two" >undone',
  args: ["a", "$(touch evil); 'b'"],
  reports: { count: /^2$/, two: /b/ },
};
const undone = ({ dir }: Session) =>
  Deno.readTextFile(`${dir}/undone`).catch(() => undefined);

scriptTest(
  "gives a type its values, tells what it reports, and undoes it",
  { script: TYPE },
  async (session) => {
    const { told } = await session.facts();
    assertEquals(told, { count: "2", two: "$(touch evil); 'b'" });
    assertEquals(await undone(session), undefined);
    await session.end();
    assertEquals(await undone(session), `${TYPE.args.join(" ")}\n`);
    assertEquals(changes(session), [...UP, ...UNDONE].sort());
    assert(![...Deno.readDirSync(session.dir)].some((f) => f.name === "evil"));
  },
);

scriptTest("undoes what a type did before it failed", {
  script: { ...TYPE, device: TYPE.device + "; fail own words" },
}, async (session) => {
  await failureOf(() => session.facts());
  await session.end();
  assertEquals(await undone(session), `${TYPE.args.join(" ")}\n`);
  assertEquals(changes(session), []);
});

scriptTest("undoes nothing of a type that had not begun", {
  script: TYPE,
  hasIp: false,
}, async (session) => {
  await failureOf(() => session.facts());
  await session.end();
  assertEquals(await undone(session), undefined);
});

scriptTest("says that there is no ip", { hasIp: false }, async (session) => {
  assertMatch((await failureOf(() => session.facts())).message, /no "ip"/);
});

for (
  const device of [
    "",
    "nosuch0",
    "lo; touch evil",
    "$(touch evil)",
    "*",
    "../lo/../nosuch",
  ]
) {
  scriptTest(
    `refuses "${device}" as its device`,
    { device },
    async (session) => {
      const { message } = await failureOf(() => session.facts());
      assertMatch(message, /made no tunnel device/);
      await session.end();
      assertEquals(session.log(), []);
      assert(
        ![...Deno.readDirSync(session.dir)].some(({ name }) => name === "evil"),
      );
      // What ended before it was ready leaves sshd, or the error might be lost.
      assertEquals(session.sshd(), "1\n");
    },
  );
}

scriptTest("tells in one line why ip failed, and undoes the rest", {
  ip: `case $* in *address\\ add*)
    printf 'RTNETLINK answers:\\n * Operation\\n\\tnot permitted $(touch evil)\\n' >&2
    exit 2 ;; esac`,
}, async (session) => {
  const error = await failureOf(() => session.facts());
  assertMatch(
    error.message,
    /RTNETLINK answers: \* Operation not permitted \$\(/,
  );
  assertMatch(error.hints.join(), /root@HOST/);
  await session.end();
  assertEquals(changes(session), [UP[0], ...UNDONE].sort());
});

const PART = {
  text: `parts="$parts part" undo_parts="$undo_parts unpart"
part() { echo "part $1 $ready" >>log; [ ! -e fail ] || fail part; }
unpart() { echo unpart >>log; }`,
};

scriptTest("does its parts before it is ready, and undoes them first", {
  parts: [PART],
}, async (session) => {
  await session.facts();
  assertEquals(session.log().at(-1), "part lo ");
  await session.end();
  const log = session.log();
  assertEquals(log.slice(-UNDONE.length - 1)[0], "unpart");
  assertEquals(log.slice(-UNDONE.length).sort(), [...UNDONE].sort());
});

scriptTest("undoes all when a part fails, and leaves sshd alone", {
  parts: [PART],
  ip: ">fail",
}, async (session) => {
  await failureOf(() => session.facts());
  await session.end();
  assertEquals(session.log().slice(-3)[0], "unpart");
  assertEquals(session.sshd(), "1\n");
});

const PAIR6 = "fd01::1,fd01::2";
const UP6 = "address add fd01::2 peer fd01::1 dev lo nodad";
const forwards = Deno.readTextFileSync(
  "/proc/sys/net/ipv6/conf/all/forwarding",
).trim() !== "0";

scriptTest(
  "gives its device an IPv6 address where it is asked to, and takes it back",
  {
    pair6: PAIR6,
  },
  async (session) => {
    const way = "-6 route get 2000::";
    const { ipv6 } = await session.facts();
    assertEquals(ipv6, forwards ? "way" : "peer");
    assertEquals(changes(session), [...UP, way, UP6].sort());
    await session.end();
    const undone = [...UNDONE, "address delete fd01::2 peer fd01::1 dev lo"];
    assertEquals(changes(session), [...UP, way, UP6, ...undone].sort());
  },
);

scriptTest("tells that it has no way out for IPv6", {
  pair6: PAIR6,
  ip: "case $* in *get*) echo 'Network is unreachable' >&2; exit 2 ;; esac",
}, async (session) => {
  assertEquals((await session.facts()).ipv6, "peer");
});

scriptTest("goes on without IPv6 where there is none", {
  pair6: PAIR6,
  ip: "case $* in address\\ add\\ fd*) exit 2 ;; esac",
}, async (session) => {
  assertEquals((await session.facts()).ipv6, "none");
});

scriptTest("shows what it runs, marked as the server's, when it is asked to", {
  trace: true,
}, async (session) => {
  await session.facts();
  const said = session.other.join("\n");
  assertMatch(said, /^\+ server: command -v ip$/m);
  // Both ends of a pipe write there at once, and not in whole lines.
  assertMatch(said, /address add 10\.1\.0\.2 peer 10\.1\.0\.1 /);
  assertMatch(said, /ip -4 -o -batch -$/m);
});
