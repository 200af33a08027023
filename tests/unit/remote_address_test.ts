/** How the server's script finds a pair of addresses that is free there. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatPair } from "../../lib/pair.ts";
import { failureOf } from "./helpers.ts";
import { changes, scriptTest } from "./remote_session.ts";

const ROUTES = `case $* in *match*)
  echo 'default via 192.0.2.1 dev eth0'
  echo 'unreachable default dev lo metric 4278198272'
  echo '0.0.0.0/1 via 198.51.100.1 dev tun7'
  echo '128.0.0.0/1 via 198.51.100.1 dev tun7' ;;
esac
`;

scriptTest("takes the first pair that nothing but a default route covers", {
  pairs: ["10.1.0.1:10.1.0.2", "10.3.0.1:10.3.0.2", "10.4.0.1:10.4.0.2"],
  ip: ROUTES +
    `case $* in *10.1.*) echo '10.1.0.0/16 dev eth0 scope link' ;; esac`,
}, async (session) => {
  assertEquals(formatPair((await session.facts()).pair), "10.3.0.1:10.3.0.2");
  assert(!session.log().some((line) => line.includes("10.4.")));
});

for (
  const [kind, line] of [
    ["network", "10.1.0.0/16 dev eth0 proto kernel"],
    ["address of its own", "local 10.1.0.0/16 dev eth0 table local"],
    ["unreachable network", "unreachable 10.1.0.0/16 metric 5"],
  ]
) {
  scriptTest(
    `names the ${kind} that a pair collides with, and changes nothing`,
    {
      ip: ROUTES + `case $* in *match\\ 10.1.0.2) echo '${line}' ;; esac`,
    },
    async (session) => {
      const { message } = await failureOf(() => session.facts());
      assertMatch(message, /10\.1\.0\.1:10\.1\.0\.2 .*"10\.1\.0\.0\/16"/);
      await session.end();
      assertEquals(changes(session), []);
    },
  );
}

scriptTest("takes no pair when the routes cannot be seen", {
  ip: "case $* in *match*) exit 1 ;; esac",
}, async (session) => {
  await failureOf(() => session.facts());
});

scriptTest("takes its addresses away from the session that it follows", {
  resume: true,
  ip: `case $* in *address\\ show*)
    ! grep -q 'address add' log || exit 0
    echo '7: tun7    inet 10.1.0.2 peer 10.1.0.1/32 scope global tun7'
    echo '8: tun8    inet 10.1.0.2 peer 10.9.9.9/32 scope global tun8'
    echo '9: eth0    inet 10.1.0.2/24 brd 10.1.0.255 scope global eth0' ;;
  esac`,
}, async (session) => {
  await session.facts();
  const taken = changes(session).filter((line) => /tun|eth/.test(line));
  assertEquals(taken, [
    "address delete 10.1.0.2 peer 10.1.0.1 dev tun7",
    "link set dev tun7 down",
  ]);
});

scriptTest("refuses a pair that another session is given at the same moment", {
  ip: `case $* in *address\\ show\\ to\\ 10.1.0.2)
    echo '7: lo    inet 10.1.0.2 peer 10.1.0.1/32 scope global lo'
    echo '8: tun8    inet 10.1.0.2 peer 10.1.0.1/32 scope global tun8' ;;
  esac`,
}, async (session) => {
  const { code, message } = await failureOf(() => session.facts());
  assertEquals(code, 6);
  assertMatch(message, /10\.1\.0\.1:10\.1\.0\.2 collides/);
  await session.end();
  const taken = changes(session).filter((line) => /delete/.test(line));
  assertEquals(taken, ["address delete 10.1.0.2 peer 10.1.0.1 dev lo"]);
});

scriptTest("looks again where routes changed while it looked", {
  pairs: ["10.1.0.1:10.1.0.2", "10.3.0.1:10.3.0.2"],
  ip: `case $* in *match\\ 10.1.0.2)
    echo x >>looked
    echo 'default via 192.0.2.1 dev eth0'
    if [ "$(grep -c x looked)" -lt 3 ]; then
      echo 'Dump was interrupted and may be inconsistent.' >&2
    else
      echo '10.1.0.0/16 dev eth0 scope link'
    fi ;;
  esac`,
}, async (session) => {
  assertEquals(formatPair((await session.facts()).pair), "10.3.0.1:10.3.0.2");
  assertEquals(session.other, []);
});

scriptTest("takes what is shown though routes never stop changing", {
  pairs: ["10.1.0.1:10.1.0.2", "10.3.0.1:10.3.0.2"],
  ip: `echo 'Dump was interrupted and may be inconsistent.' >&2
    case $* in *match\\ 10.1.0.2) echo '10.1.0.0/16 dev eth0' ;; esac`,
}, async (session) => {
  assertEquals(formatPair((await session.facts()).pair), "10.3.0.1:10.3.0.2");
  assertEquals(session.other, []);
});

scriptTest("goes on where routes never stop changing", {
  ip: "echo 'Dump was interrupted and may be inconsistent.' >&2",
}, async (session) => {
  assertEquals(formatPair((await session.facts()).pair), "10.1.0.1:10.1.0.2");
  assertEquals(session.other, []);
});
