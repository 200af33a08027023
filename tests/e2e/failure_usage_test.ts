/** What cannot be understood is refused before anything is done. */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import type { Lab } from "../lab/lab.ts";
import { pvpn } from "../lab/pvpn.ts";
import { assertFails, SSH_3, suite, up } from "./helpers.ts";

const test = suite({ jump: false });

/** What is typed, and what becomes of it. */
interface Failure {
  readonly args: readonly string[];
  /** `SSH_ARGS`. */
  readonly ssh?: string;
  readonly error: RegExp;
  readonly hint?: RegExp;
}

const HOST = "root@server";
const ROUTED = [...SSH_3, HOST, "10.88.0.0/24"];

const USAGE: Record<string, Failure> = {
  "no argument": { args: [], error: /SSH-HOST is missing/, hint: /--help/ },
  "an unknown type": {
    args: ["-t", "ssh-4", HOST],
    error: /unknown tunnel type "ssh-4"/,
    hint: /ssh-3/,
  },
  "a path as a type": {
    args: ["-t", "../../tmp/x", HOST],
    error: /is not a tunnel type/,
    hint: /ssh-3/,
  },
  "a malformed CIDR": {
    args: [...SSH_3, HOST, "10.88.0.0/33"],
    error: /"10\.88\.0\.0\/33" is not a route/,
    hint: /192\.168\.0\.0\/16/,
  },
  "a CIDR with host bits": {
    args: [...SSH_3, HOST, "10.88.0.9/24"],
    error: /"10\.88\.0\.9\/24" is not a network: .*bits/,
    hint: /10\.88\.0\.0\/24.*10\.88\.0\.9/,
  },
  "an address of three numbers": {
    args: [...SSH_3, HOST, "10.88.0"],
    error: /"10\.88\.0" is not a route/,
  },
  "an octal address": {
    args: [...SSH_3, HOST, "010.0.0.0/8"],
    error: /"010\.0\.0\.0\/8" is not a route/,
  },
  "an IPv6 route that is none": {
    args: [...SSH_3, HOST, "fd88::1/64"],
    error: /"fd88::1\/64" is not a network/,
  },
  "an exclude of everything": {
    args: [...SSH_3, "-x", "default", HOST, "default"],
    error: /leaves nothing for the tunnel/,
  },
  "a route that is a command": {
    args: [...SSH_3, HOST, "$(touch x)"],
    error: /"\$\(touch x\)" is not a route/,
  },
  "a route that is an option": {
    args: [...SSH_3, HOST, "--", "-x"],
    error: /"-x" is not a route/,
  },
  "a pair of one": {
    args: [...SSH_3, "-i", "10.9.9.1", HOST],
    error: /"10\.9\.9\.1" is not a pair/,
    hint: /IP1:IP2/,
  },
  "a pair of three": {
    args: [...SSH_3, "-i", "any:any:any", HOST],
    error: /"any:any:any" is not a pair/,
  },
  "a pair that is no address": {
    args: [...SSH_3, "-i", "10.9.9.1:x; touch x", HOST],
    error: /"x; touch x" in the pair .* is not a usable IPv4 address/,
  },
  "a pair of the same": {
    args: [...SSH_3, "-i", "10.9.9.1:10.9.9.1", HOST],
    error: /both ends of the pair .* are the same/,
  },
  "a pair that is no host's": {
    args: [...SSH_3, "-i", "127.0.0.2:any", HOST],
    error: /"127\.0\.0\.2" .* is not a usable/,
  },
  "an MTU too small": {
    args: [...SSH_3, "--mtu", "575", HOST],
    error: /--mtu 575 is neither a number from 576 to 16380/,
    hint: /IPv4/,
  },
  "an MTU too large": {
    args: [...SSH_3, "--mtu", "16381", HOST],
    error: /--mtu 16381 is neither a number from 576 to 16380/,
    hint: /ssh loses/,
  },
  "an MTU that is no number": {
    args: [...SSH_3, "--mtu", "0x5dc", HOST],
    error: /--mtu 0x5dc is neither a number/,
  },
  "a host that is an option": {
    args: [...SSH_3, "--", "-oProxyCommand=touch x", "10.88.0.0/24"],
    error: /SSH-HOST cannot start with "-"/,
    hint: /--help/,
  },
  "a host that is an option behind a user": {
    args: [...SSH_3, "root@-oProxyCommand=x", "10.88.0.0/24"],
    error: /SSH-HOST cannot start with "-"/,
  },
  "a host with a command in it": {
    args: [...SSH_3, "root@$(touch x)", "10.88.0.0/24"],
    error: /is not a host: it has "\$" in it/,
    hint: /\[USER@\]HOST/,
  },
  "a host with a line feed": {
    args: [...SSH_3, "root@server\nx", "10.88.0.0/24"],
    error: /is not a host: it has "\\n" in it/,
  },
  "an empty host": { args: [...SSH_3, ""], error: /SSH-HOST is empty/ },
  "an unknown option": {
    args: ["--foregruond", HOST],
    error: /unknown option "--foregruond"/,
    hint: /did you mean --foreground\?/,
  },
  "an option without its value": {
    args: [...SSH_3, HOST, "-i"],
    error: /-i, --ip needs its value: IP1:IP2/,
  },
  "-S of a path": {
    args: ["-S", "../../x"],
    error: /"\.\.\/\.\.\/x" is not a device/,
    hint: /--list/,
  },
  "-S of a command": {
    args: ["-S", "$(touch x)"],
    error: /"\$\(touch x\)" is not a device/,
  },
  "SSH_ARGS with a stray quote": {
    args: ROUTED,
    ssh: "-o 'User=root",
    error: /SSH_ARGS has a ' that is not closed/,
    hint: /quote it as for a shell/,
  },
  "SSH_ARGS that ends in a backslash": {
    args: ROUTED,
    ssh: "-p 22 \\",
    error: /SSH_ARGS ends in a backslash/,
  },
  "SSH_ARGS with a host": {
    args: ROUTED,
    ssh: "root@jump",
    error: /"root@jump" in SSH_ARGS is not an option/,
    hint: /options only/,
  },
  "SSH_ARGS with a host behind --": {
    args: ROUTED,
    ssh: "-- root@jump",
    error: /"--" in SSH_ARGS is not an option/,
  },
  "SSH_ARGS that lacks a value": {
    args: ROUTED,
    ssh: "-v -p",
    error: /option -p in SSH_ARGS lacks its value/,
  },
  "SSH_ARGS with an option that ssh does not know": {
    args: ROUTED,
    ssh: "-o Nonsense=yes",
    error: /Bad configuration option: nonsense/,
    hint: /SSH_ARGS/,
  },
};

const REFUSED = [
  "-f",
  "-N",
  "-w 0:0",
  "-S /tmp/x",
  "-M",
  "-n",
  "-tt",
  "-O exit",
];
for (const option of REFUSED) {
  USAGE[`SSH_ARGS="${option}"`] = {
    args: ROUTED,
    ssh: `-v -p22 -4T${option.slice(1)}`,
    error: new RegExp(
      `option ${option.slice(0, 2)} cannot be used in SSH_ARGS`,
    ),
  };
}

/** Proves that no command in an argument was run: it would have made a file. */
async function assertNoX({ client, server }: Lab): Promise<void> {
  for (const node of [client, server]) {
    const places = ["/tmp", "/run", "/etc", node.home, "/x"];
    const found = await node.run(["find", ...places, "-xdev", "-name", "x"]);
    assertEquals(found.stdout, "");
  }
}

/** Runs one case; says which it was when it is not as it should be. */
async function refused(lab: Lab, name: string): Promise<void> {
  const { args, ssh, error, hint } = USAGE[name]!;
  const result = await pvpn(lab, args, {
    cwd: lab.client.home,
    ...(ssh === undefined ? {} : { env: { SSH_ARGS: ssh } }),
  });
  try {
    assertFails(result, 2, error, hint);
  } catch (error) {
    throw new Error(`${name} is not refused as it should be`, { cause: error });
  }
}

test("what cannot be understood is refused, and no ssh is run", async (lab) => {
  const log = await lab.sshdLog();
  const names = Object.keys(USAGE);
  const results: PromiseSettledResult<void>[] = [];
  while (names.length > 0) {
    const some = names.splice(0, 4).map((name) => refused(lab, name));
    results.push(...await Promise.allSettled(some));
  }
  await assertNoX(lab);
  assertEquals(await lab.sshdLog(), log);
  const reasons = results.flatMap((r) =>
    r.status === "rejected" ? [r.reason] : []
  );
  if (reasons.length > 0) throw new AggregateError(reasons);
});

test("-n changes nothing, whatever stands beside it", async (lab) => {
  await using tunnel = await up(lab, ["root@server"]);
  const stop = await pvpn(lab, ["-n", "-S", tunnel.device]);
  const list = await pvpn(lab, ["-l"]);
  assertMatch(list.stdout, new RegExp(`^${tunnel.device} .* up `, "m"));
  assertNotEquals(stop.stdout, `${tunnel.device} disconnected\n`);
});
