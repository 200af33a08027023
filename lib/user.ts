/**
 * The user that ssh runs as: under sudo the one who typed it, so that no
 * process of root's opens a connection, and what that user's ssh
 * configuration runs (ProxyCommand, Match exec) has that user's rights only.
 *
 * @module
 */
import type { Argv, Runner } from "./command.ts";
import { ExitCode, PvpnError, UsageError } from "./errors.ts";
import type { TunnelOptions } from "./tunnel.ts";

/** A user, as passwd(5) has it. */
export interface User {
  /** The login name. */
  readonly name: string;
  /** The user's ID; 0 only in what is asked about, never to run ssh as. */
  readonly uid: number;
  /** The ID of the user's own group; setpriv(1) adds the others. */
  readonly gid: number;
  /** The home folder, where ssh's configuration and keys are. */
  readonly home: string;
  /** The login shell, with which ssh runs a ProxyCommand. */
  readonly shell: string;
}

/** Who typed the command that made this process root. */
export interface Caller {
  /** The variable that says so. */
  readonly variable: string;
  /** The login name, or where only that is known, the ID. */
  readonly user: string;
  /** The ID, where it is told beside the name. */
  readonly uid?: string;
}

// sudo(8), ENVIRONMENT (run0(1) sets the same); doas(1); pkexec(1).
const SUDO = ["SUDO_USER", "SUDO_UID"] as const;
const OTHERS = ["DOAS_USER", "PKEXEC_UID"] as const;

/** The variables that {@linkcode callerOf} reads. */
export const CALLER_VARIABLES: readonly string[] = [...SUDO, ...OTHERS];

/**
 * Reads from the environment who called.
 *
 * @param get Gives a variable's value.
 * @returns `undefined` where nobody else than root did.
 */
export function callerOf(
  get: (name: string) => string | undefined,
): Caller | undefined {
  const [variable, id] = SUDO;
  const user = get(variable);
  const uid = get(id);
  if (user !== undefined) {
    return { variable, user, ...(uid === undefined ? {} : { uid }) };
  }
  for (const variable of OTHERS) {
    const user = get(variable);
    if (user !== undefined) return { variable, user };
  }
  return undefined;
}

// No option of getent's, nothing that passwd(5) would split, no blanks: what
// sudo lets names have, domains included.
const NAME_REGEXP = /^[\w.][\w.@\\+$-]{0,255}$/;

/**
 * Parses a user's name, or number.
 *
 * @throws {UsageError} Where no user can have it.
 */
export function parseUserName(text: string): string {
  if (NAME_REGEXP.test(text)) return text;
  throw new UsageError(
    `${JSON.stringify(text)} cannot be a user's name`,
    "see whom this machine knows: getent passwd",
  );
}

/** Reads a line of passwd(5); `undefined` where it is none. */
export function parsePasswd(line: string): User | undefined {
  const fields = line.split(":");
  const [name = "", , uid = "", gid = "", , home = "", shell = ""] = fields;
  const user = { name, uid: Number(uid), gid: Number(gid), home, shell };
  const digits = /^\d{1,10}$/.test(uid) && /^\d{1,10}$/.test(gid);
  return fields.length === 7 && digits && isUser(user) ? user : undefined;
}

const isId = (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32 - 1;
// deno-lint-ignore no-control-regex
const PATH_REGEXP = /^\/[^\x00-\x1f\x7f]{0,4095}$/;

/** Whether a value, of a state file, is a {@linkcode User}. */
export function isUser(value: unknown): value is User {
  if (typeof value !== "object" || value === null) return false;
  const { name, uid, gid, home, shell } = value as Record<string, unknown>;
  return typeof name === "string" && NAME_REGEXP.test(name) &&
    isId(uid) && isId(gid) &&
    typeof home === "string" && PATH_REGEXP.test(home) &&
    // Empty means /bin/sh: passwd(5).
    typeof shell === "string" && (shell === "" || PATH_REGEXP.test(shell));
}

/**
 * Finds the user that ssh is to run as, in the password database.
 *
 * @param named What `--ssh-user` says.
 * @param caller Who called, for where it says nothing.
 * @returns `undefined` where that is who this process runs as.
 * @throws {PvpnError} Where there is no such user, or only root could.
 */
export async function findUser(
  named: string | undefined,
  caller: Caller | undefined,
  runner: Runner,
): Promise<User | undefined> {
  const me = Deno.uid();
  // Whoever is not root can only print commands, and runs ssh -G as itself.
  if (named === undefined && (caller === undefined || me !== 0)) return;
  const user = named === undefined
    ? await calling(caller!, runner)
    : await lookUp(parseUserName(named), runner);
  if (user === undefined) {
    throw new UsageError(
      `this machine has no user "${named}"`,
      "see whom it knows: getent passwd",
    );
  }
  if (user.uid === me) return undefined;
  if (me === 0) return user;
  throw new PvpnError(
    ExitCode.notRoot,
    `only root can run ssh as "${user.name}"`,
    ["type sudo before it, or leave --ssh-user out"],
  );
}

/** The caller, if its name and its number are those of one user. */
async function calling(
  { variable, user, uid }: Caller,
  runner: Runner,
): Promise<User> {
  const found = NAME_REGEXP.test(user) ? await lookUp(user, runner) : undefined;
  const agree = uid === undefined || uid === String(found?.uid);
  if (found !== undefined && agree) return found;
  const shown = JSON.stringify(user);
  throw new UsageError(
    found === undefined
      ? `${variable} is ${shown}, which is no user of this machine`
      : `${variable} is ${shown}, but SUDO_UID is ${JSON.stringify(uid)}`,
    "say whose ssh is to run: --ssh-user USER, or --ssh-user root",
  );
}

async function lookUp(
  name: string,
  runner: Runner,
): Promise<User | undefined> {
  const { stdout } = await runner.query(["getent", "passwd", name], {
    anyStatus: true,
  });
  return parsePasswd(stdout.split("\n")[0] ?? "");
}

/**
 * The argument vector that runs another as a user: by exec alone, so that it
 * stays one process, with its terminal, its signals and what is open.
 * Whoever is set free here can do what that user can, setuid programs
 * included, and no more.
 */
export function asUser(user: User | undefined, argv: Argv): string[] {
  if (user === undefined) return [...argv];
  const { name, uid, gid, home, shell } = user;
  return [
    ...["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--init-groups"],
    "--inh-caps=-all",
    ...["env", `HOME=${home}`, `LOGNAME=${name}`, `USER=${name}`],
    `SHELL=${shell || "/bin/sh"}`,
    ...argv,
  ];
}

/** What may help where a server refused a user's login. */
export function loginHints(user: User | undefined): string[] {
  if (user === undefined || Deno.env.get("SSH_AUTH_SOCK") !== undefined) {
    return [];
  }
  return [
    `ssh ran as "${user.name}", without an agent: sudo takes the way to it; ` +
    "to keep that: sudo --preserve-env=SSH_AUTH_SOCK pvpn ...",
  ];
}

/** What a plugin is told of the user. */
export function identity(
  user: User | undefined,
): Pick<TunnelOptions, "uid" | "asUser"> {
  return {
    uid: user?.uid ?? Deno.uid()!,
    asUser: (argv) => asUser(user, argv),
  };
}
