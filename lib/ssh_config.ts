/**
 * Asks ssh what it would do: `ssh -G`, which connects nowhere.
 *
 * @module
 */
import { missingProgram, type Runner } from "./command.ts";
import { configArgv, parseConfig, type SshConfig } from "./ssh.ts";
import { explainSshFailure } from "./ssh_failure.ts";
import { asUser, type User } from "./user.ts";

/** Asks ssh what it would do for a host. */
export async function sshConfig(
  host: string,
  sshArgs: readonly string[],
  user: User | undefined,
  runner: Runner,
): Promise<SshConfig> {
  const argv = asUser(user, configArgv({ host, args: sshArgs }));
  const output = await runner.query(argv, { anyStatus: true });
  if (output.status === 127) throw missingProgram("ssh"); // what env says
  if (output.status !== 0) {
    const lines = output.stderr.split(/\r?\n/);
    throw explainSshFailure(host, lines, output.status);
  }
  return parseConfig(output.stdout, host);
}
