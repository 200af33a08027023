import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { PvpnError, UsageError } from "../../lib/errors.ts";
import { configArgv, parseConfig, type SshConfig } from "../../lib/ssh.ts";
import { failureOf, system, withDir } from "./helpers.ts";

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

Deno.test("parseConfig() refuses what is no port", () => {
  for (const port of ["0", "65536", "-1", "1.5", "22x", ""]) {
    assertThrows(() => parseConfig(`port ${port}\n`, "h"), PvpnError, "port");
  }
});
