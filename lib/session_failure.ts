/**
 * Why a session is not ready, where ssh itself does not say it.
 *
 * @module
 */
import { ExitCode, PvpnError } from "./errors.ts";
import type { Login } from "./login.ts";

/** From "authenticated" to the ready line, in milliseconds. */
export const READY_DEADLINE = 20_000;
/** For all of it, typing a passphrase included; sshd gives 120 s. */
export const LOGIN_DEADLINE = 180_000;

// What ssh says at LogLevel DEBUG1 and would not say at INFO.
export const DEBUG_REGEXP =
  /^(?:debug\d: |OpenSSH_|Authenticated to |Transferred: |Bytes per second: )/;

/** ssh has not logged in. */
export function lateLogin(host: string): PvpnError {
  return new PvpnError(
    ExitCode.ssh,
    `no login to "${host}" within ${LOGIN_DEADLINE / 1000} seconds`,
    [`see what it does: ssh -v ${host} true`],
  );
}

/** The server's script is not ready. */
export function lateReady(host: string): PvpnError {
  return new PvpnError(
    ExitCode.server,
    `"${host}" did not set its end up within ${READY_DEADLINE / 1000} seconds`,
    [`see what it does: ssh -v ${host} true`],
  );
}

/** The server's command ended, but never said that it was ready. */
export function ended(
  host: string,
  lines: readonly string[],
  chatter: RegExp | undefined,
  login: Login,
): PvpnError {
  const said = lines.findLast((line) =>
    !DEBUG_REGEXP.test(line) && !chatter?.test(line)
  )?.trim();
  const detail = said ? `: ${said}` : "";
  if (login.allowed?.includes("command")) {
    return new PvpnError(
      ExitCode.server,
      `"${host}" ran the command that its authorized_keys has for your key, ` +
        `not the set-up${detail}`,
      [
        "choose another key: SSH_ARGS='-i KEY'; or take command= away from " +
        "this one's line there",
      ],
    );
  }
  return new PvpnError(
    ExitCode.server,
    `"${host}" did not run the set-up${detail}`,
    [
      "look there for ForceCommand in sshd_config, and at the shell of that user",
      `does this work: ssh ${host} 'exec /bin/sh -c true'`,
    ],
  );
}

/** The server says more than any of its scripts would. */
export function endless(host: string): PvpnError {
  return new PvpnError(
    ExitCode.server,
    `"${host}" prints without end and is not ready`,
    [`see what it prints: ssh ${host} true`],
  );
}
