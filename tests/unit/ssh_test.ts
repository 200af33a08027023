import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { PvpnError, UsageError } from "../../lib/errors.ts";
import {
  configArgv,
  parseConfig,
  parseHost,
  preferredCiphers,
  sessionArgv,
  type SshConfig,
} from "../../lib/ssh.ts";
import {
  failureOf,
  onlyPvpnError,
  Seeded,
  system,
  withDir,
} from "./helpers.ts";

const SAFE = [
  ...["-oControlMaster=no", "-oControlPath=none", "-oClearAllForwardings=no"],
  ...["-oExitOnForwardFailure=yes", "-oPermitLocalCommand=no"],
  ...["-oRemoteCommand=none", "-oForwardAgent=no", "-oForwardX11=no"],
  ...[
    "-oCompression=no",
    "-oServerAliveInterval=10",
    "-oServerAliveCountMax=3",
  ],
  ...["-oTCPKeepAlive=yes", "-oIPQoS=none", "-oLogLevel=DEBUG1"],
];

const CONFIG: SshConfig = {
  hostname: "proxy.example",
  hostKeyAlias: undefined,
  port: 22,
  proxied: false,
  ciphers: ["aes128-ctr"],
  connectTimeout: false,
};
const SESSION = {
  config: CONFIG,
  aes: true,
  batch: false,
  options: ["-w", "0:any"],
  command: "exec sh",
};

Deno.test("parseHost() takes what ssh takes for a host", () => {
  const hosts = [
    ...["proxy", "root@proxy", "root@192.0.2.1", "2001:db8::1", "root@[::1]"],
    ...["status", "a_b.example", "u%x@h", "fe80::1%eth0", "ssh://u@h:2222"],
    ...["user+tag@host-1", "u@d@h"],
  ];
  for (const host of hosts) assertEquals(parseHost(host), host);
});

Deno.test("parseHost() refuses options and what a shell could evaluate", () => {
  const hosts = [
    ...["", "-h", "--", "-oProxyCommand=id", "root@-oProxyCommand=id"],
    ...[
      "a b",
      "a\tb",
      "a\nb",
      "a\x00b",
      "a\x7f",
      "$(id)",
      "`id`",
      "a;id",
      "a|b",
    ],
    ...[
      "a&b",
      "a>b",
      "a<b",
      "(a)",
      "{a}",
      "a'b",
      'a"b',
      "a\\b",
      "~root",
      "*",
      "?",
    ],
    ...["a#b", "a!b", "a,b", "a=b", "h\u00f6st", "a\u202eb", "u@-h", "a@b@-c"],
  ];
  for (const host of hosts) {
    assertThrows(() => parseHost(host), UsageError, undefined, host);
  }
});

Deno.test("configArgv() puts SSH_ARGS first, and the host behind --", () => {
  assertEquals(configArgv({ host: "h", args: ["-p", "22"] }), [
    ...["ssh", "-p", "22", "-T", ...SAFE, "-G", "--", "h"],
  ]);
});

Deno.test("sessionArgv() is one ssh with nothing of the user's behind ours", () => {
  assertEquals(
    sessionArgv({ host: "root@h", args: ["-F", "file", "-C"] }, SESSION),
    [
      ...["ssh", "-F", "file", "-C", "-T", ...SAFE, "-oConnectTimeout=20"],
      ...["-w", "0:any", "--", "root@h", "exec sh"],
    ],
  );
});

Deno.test("sessionArgv() leaves the user's ConnectTimeout, and asks nobody in a batch", () => {
  const config = { ...CONFIG, connectTimeout: true };
  assertEquals(
    sessionArgv({ host: "h", args: [] }, { ...SESSION, config, batch: true }),
    [
      ...["ssh", "-T", ...SAFE, "-oBatchMode=yes", "-w", "0:any"],
      ...["--", "h", "exec sh"],
    ],
  );
});

Deno.test("sessionArgv() prefers AES-GCM where the CPU has AES", () => {
  const ciphers = [
    ...["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"],
    ...["aes128-gcm@openssh.com", "aes256-gcm@openssh.com"],
  ];
  const config = { ...CONFIG, ciphers };
  const argv = (aes: boolean) =>
    sessionArgv({ host: "h", args: [] }, { ...SESSION, config, aes });
  const asked = argv(true).find((word) => word.startsWith("-oCiphers="));
  assertEquals(
    asked,
    "-oCiphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com," +
      "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr",
  );
  assert(!argv(false).some((word) => word.startsWith("-oCiphers")));
});

Deno.test("preferredCiphers() respects who chose, and drops and adds none", () => {
  assertEquals(
    preferredCiphers(["aes256-ctr", "aes128-gcm@x"], true),
    undefined,
  );
  assertEquals(preferredCiphers([], true), undefined);
  const only = ["chacha20-poly1305@openssh.com", "aes128-ctr"];
  assertEquals(preferredCiphers(only, true), undefined);
});

Deno.test("sessionArgv() resumes to the known address, and looks the key up by name", () => {
  const argv = (config: Partial<SshConfig>) =>
    sessionArgv({ host: "h", args: [] }, {
      ...SESSION,
      config: { ...CONFIG, ...config },
      address: "192.0.2.1",
    }).filter((word) => /^-oHost/.test(word));
  assertEquals(argv({}), [
    ...["-oHostName=192.0.2.1", "-oHostKeyAlias=proxy.example"],
  ]);
  assertEquals(argv({ port: 2222 }), [
    ...["-oHostName=192.0.2.1", "-oHostKeyAlias=[proxy.example]:2222"],
  ]);
  assertEquals(argv({ port: 2222, hostKeyAlias: "alias" }), [
    ...["-oHostName=192.0.2.1", "-oHostKeyAlias=alias"],
  ]);
  assertEquals(argv({ proxied: true }), []);
});

/** What the installed ssh says that it would do. */
async function ask(config: string, ...args: string[]): Promise<SshConfig> {
  return await withDir(async (dir) => {
    const file = `${dir}/config`;
    await Deno.writeTextFile(file, config);
    const argv = configArgv({ host: "h", args: [...args, "-F", file] });
    return parseConfig((await system.query(argv)).stdout, "h");
  });
}

Deno.test("parseConfig() reads what the installed ssh prints", async () => {
  const plain = await ask("");
  assertEquals(plain.hostname, "h");
  assertEquals([plain.port, plain.proxied], [22, false]);
  assertEquals([plain.hostKeyAlias, plain.connectTimeout], [undefined, false]);
  assert(plain.ciphers.some((name) => name.startsWith("aes128-")));
  const full = await ask(
    "Hostname proxy.example\nPort 2222\nHostKeyAlias alias\nProxyJump jump\n" +
      "ConnectTimeout 5\nCiphers aes256-ctr,aes128-ctr\n",
  );
  assertEquals(full, {
    hostname: "proxy.example",
    hostKeyAlias: "alias",
    port: 2222,
    proxied: true,
    ciphers: ["aes256-ctr", "aes128-ctr"],
    connectTimeout: true,
  });
  assert((await ask("ProxyCommand nc %h %p\n")).proxied);
  assert(!(await ask("ProxyCommand none\nProxyJump none\n")).proxied);
});

Deno.test("configArgv() overrules a configuration that takes the tunnel away", async () => {
  await ask(
    "ControlMaster auto\nControlPath ~/.ssh/%C\nClearAllForwardings yes\n" +
      "ExitOnForwardFailure no\nPermitLocalCommand yes\nLocalCommand id\n" +
      "RemoteCommand id\nForwardAgent yes\nRequestTTY force\n",
  );
});

Deno.test("parseConfig() refuses options of the user's that leave no tunnel", async () => {
  const refused = async (config: string, ...args: string[]) => {
    try {
      await ask(config, ...args);
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error(`not refused: ${config} ${args}`);
  };
  for (
    const option of [
      ...["ClearAllForwardings=yes", "ControlMaster=yes", "StdinNull=yes"],
      ...["ExitOnForwardFailure=no", "PermitLocalCommand=yes"],
      "SessionType=none",
    ]
  ) {
    const key = option.split("=")[0]!.toLowerCase();
    const error = await refused("", `-o${option}`);
    assertMatch(error.message, new RegExp(`option ${key} is `), option);
    assertMatch(error.hints.join(), new RegExp(`SSH_ARGS=-o${key}=\\w+$`));
  }
  await refused("SessionType none\n");
  await refused("StdinNull yes\n");
  // Of this, `ssh -G` itself says that it cannot be, as it has no command.
  await failureOf(() => ask("ForkAfterAuthentication yes\n"));
});

Deno.test("parseConfig() survives noise", () => {
  const seeded = new Seeded(10);
  const pieces = [
    "port ",
    "22",
    "\n",
    "none",
    "proxyjump ",
    " ",
    "hostname",
    "no",
  ];
  for (let i = 0; i < 5000; i++) {
    const text = seeded.text(pieces, 10);
    const config = onlyPvpnError(() => parseConfig(text, "h"), text);
    if (config !== undefined) assert(config.port > 0 && config.port < 65536);
  }
  for (const port of ["0", "65536", "-1", "1.5", "22x", ""]) {
    assertThrows(() => parseConfig(`port ${port}\n`, "h"), PvpnError, "port");
  }
});
