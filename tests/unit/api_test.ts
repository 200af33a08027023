import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { type ConnectOptions, parseOptions } from "../../lib/api_options.ts";
import { formatRoute } from "../../lib/address.ts";
import { parseCommandLine } from "../../lib/command_line.ts";
import { UsageError } from "../../lib/errors.ts";
import { OPTIONS } from "../../lib/options.ts";

/** Each option, and the words that say the same on a command line. */
const ALL: Readonly<
  Record<string, readonly [ConnectOptions, readonly string[]]>
> = {
  type: [{ type: "ssh-3" }, ["-tssh-3"]],
  ip: [{ ip: "10.1.0.1:any" }, ["-i10.1.0.1:any"]],
  "first-ssh-hop": [{ firstSshHop: "jump" }, ["-sjump"]],
  "inherit-dns": [{ inheritDns: true }, ["-D"]],
  dns: [{ dns: ["10.0.0.1", "10.0.0.2"] }, ["--dns=10.0.0.1,10.0.0.2"]],
  "dns-domain": [
    { dns: ["10.0.0.1"], dnsDomains: ["a.example", "b.example"] },
    ["--dns=10.0.0.1", "--dns-domain=a.example", "--dns-domain=b.example"],
  ],
  "ssh-user": [{ sshUser: "alice" }, ["--ssh-user=alice"]],
  exclude: [{ exclude: ["10.1.0.0/16"] }, ["-x10.1.0.0/16"]],
  ipv6: [{ ipv6: "block" }, ["--ipv6=block"]],
  "allow-fallback": [{ allowFallback: true }, ["--allow-fallback"]],
  mtu: [{ mtu: 1400 }, ["--mtu=1400"]],
  parallel: [{ parallel: 4 }, ["--parallel=4"]],
  "auto-nets": [{ autoNets: true }, ["-N"]],
  nat: [{ nat: true }, ["--nat"]],
};
/** What a program does otherwise: it holds the tunnel, and has no terminal. */
const HELD = { foreground: true, batch: true };

Deno.test("each option of connecting means to a program what it means when typed", () => {
  const routes = ["10.0.0.0/8", "default"];
  for (const [name, [options, words]] of Object.entries(ALL)) {
    const { command } = parseCommandLine([...words, "h", ...routes], "");
    if (command.action !== "connect") throw new Error(name);
    const found = parseOptions("h", { routes, ...options });
    assertEquals(found, { ...command.request, ...HELD }, name);
  }
});

Deno.test("programs have all options of connecting but those for people", () => {
  const names = OPTIONS.filter(({ group }) => group === "connect")
    .map(({ long }) => long)
    .filter((long) => long !== "foreground" && long !== "dry-run");
  assertEquals(Object.keys(ALL).sort(), names.sort());
});

Deno.test("what a program gives is never read as another option", () => {
  const { host, sshArgs, routes } = parseOptions("root@h", {
    sshArgs: ["-o", "ProxyCommand=a 'b' \"$c\"", "-p2222"],
    routes: ["10.0.0.1"],
    interactive: true,
  });
  assertEquals(host, "root@h");
  assertEquals(sshArgs, ["-o", "ProxyCommand=a 'b' \"$c\"", "-p2222"]);
  assertEquals(routes.map(formatRoute), ["10.0.0.1"]);
  for (const word of ["-n", "--dry-run", "-S", "--help", "@work", ""]) {
    assertThrows(() => parseOptions(word), UsageError, undefined, word);
    const route = assertThrows(
      () => parseOptions("h", { routes: [word] }),
      UsageError,
    );
    assertMatch(route.message, /is not a route|empty/);
  }
});
