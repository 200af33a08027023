/**
 * How ssh has logged in, by its own words, and whether it could do so again
 * when nobody is there to be asked.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import type { Log } from "./log.ts";
import { asUser, type User } from "./user.ts";

/** What ssh says of a login. */
export interface Login {
  /** What the server calls its software, such as `OpenSSH_9.2p1`. */
  readonly software?: string;
  /** The method that was accepted last, such as `publickey`. */
  readonly method?: string;
  /** The key that was accepted: its file, or what an agent calls it. */
  readonly key?: string;
  /** Whether an agent has it. */
  readonly agent?: boolean;
  /** The files that keys may be in; named before the server says anything. */
  readonly identities?: readonly string[];
  /** What authorized_keys(5) there lets the key do, such as `command pty`. */
  readonly allowed?: readonly string[];
}

// What ssh says at LogLevel DEBUG1 (sshconnect2.c, compat.c), and what sshd has
// it say (auth2-pubkeyfile.c, auth_log_authopts); OpenSSH 7.8 on.
const SAID: readonly (readonly [RegExp, (found: string[]) => Login])[] = [
  [/^debug1: Remote protocol version \S+, remote software version (.{1,100})/, (
    [, software = ""],
  ) => ({ software })],
  [/^Authenticated to .* using "([\w-]+)"/, ([, method = ""]) => ({ method })],
  [/^debug1: Server accepts key: (.+?) (?:\S+ SHA256:\S+)(.*)$/, (
    [, key = "", more = ""],
  ) => ({ key, agent: / agent\b/.test(more) })],
  [/^debug1: Remote: \/.{1,1000}:\d+: key options:(.{0,1000})$/, (
    [, allowed = ""],
  ) => ({ allowed: allowed.split(" ").filter(Boolean) })],
];

const IDENTITY_REGEXP = /^debug1: identity file (\/.{1,1000}) type -?\d+$/;

/** Adds what a line of ssh's tells of the login. */
export function readLogin(login: Login, line: string): Login {
  const [, identity] = IDENTITY_REGEXP.exec(line) ?? [];
  if (identity !== undefined && login.software === undefined) {
    return { ...login, identities: [...login.identities ?? [], identity] };
  }
  for (const [pattern, of] of SAID) {
    const found = pattern.exec(line);
    if (found !== null) return { ...login, ...of(found) };
  }
  return login;
}

/** A login that cannot be repeated in the background. */
export interface Once {
  /** What cannot be typed there. */
  readonly what: string;
  /** What makes it repeatable; to be typed on this machine. */
  readonly fix: readonly string[];
}

const TYPED: readonly string[] = ["password", "keyboard-interactive"];

// Nobody has typed a passphrase where there is no terminal.
const LOCKED = 'true 2>/dev/null </dev/tty && [ -f "$1" ] && [ -s "$1" ] || ' +
  "exit 0; " +
  'exec ssh-keygen -y -P "" -f "$1"';

/**
 * Whether somebody had to type something for a login: then the tunnel cannot
 * come back by itself.
 *
 * @param user Whom ssh runs as.
 * @returns `undefined` where nobody had to.
 */
export async function cannotRepeat(
  { method = "", key = "", agent, identities = [] }: Login,
  host: string,
  user: User | undefined,
  runner: Runner,
): Promise<Once | undefined> {
  if (TYPED.includes(method)) {
    return { what: "a password", fix: [`ssh-copy-id ${host}`] };
  }
  // What a server writes to the terminal before the login can look like ssh's
  // own words. A certificate is no private key.
  const own = identities.includes(key) && !key.endsWith(".pub");
  if (method !== "publickey" || agent || !own) return undefined;
  const argv = asUser(user, ["sh", "-c", LOCKED, "pvpn", key]);
  const { status } = await runner.query(argv, { anyStatus: true });
  if (status === 0 || status === 127) return undefined;
  const keep = "sudo --preserve-env=SSH_AUTH_SOCK pvpn ...";
  return {
    what: `the passphrase of ${key}`,
    fix: [`ssh-add ${key}`, ...user === undefined ? [] : [keep]],
  };
}

/** Warns, while somebody is there, of what nobody can type later. */
export function warnOfOnce({ what, fix }: Once, log: Log): void {
  log.warn(
    "when its connection is lost, the tunnel cannot come back by itself: " +
      `nobody types ${what} then`,
  );
  for (const line of fix) log.hint(`before the next time: ${line}`);
}
