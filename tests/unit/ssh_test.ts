import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../lib/errors.ts";
import {
  configArgv,
  parseHost,
  preferredCiphers,
  sessionArgv,
  type SshConfig,
} from "../../lib/ssh.ts";

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
    ...["ssh", "-p", "22", "-T", ...SAFE, "-G", "--", "h", "true"],
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
