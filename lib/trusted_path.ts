/**
 * Paths that nobody but root can make lead to something else. Deno itself
 * cannot look at them with the permissions of the compiled program; stat(1)
 * and readlink(1) can.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";

/** As many links as the kernel follows in one path; path_resolution(7). */
const MAX_LINKS = 40;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
/** Writable by the group or by all. With an ACL, the group's bits are its mask. */
const WRITABLE = 0o022;

// Messages in English, to tell "it is not there" from all else.
const LSTAT = 'LC_ALL=C exec stat -c "%f %u %n" -- "$@"';
const EXISTS = 'for path; do [ ! -e "$path" ] || printf "%s\\n" "$path"; done';

interface Info {
  readonly mode: number;
  readonly uid: number;
}

/** Those of some paths at which there is something, in their order. */
export async function existing(
  paths: readonly string[],
  runner: Runner,
): Promise<string[]> {
  const { stdout } = await runner.query(["sh", "-c", EXISTS, "pvpn", ...paths]);
  return stdout.split("\n").filter(Boolean);
}

async function lstat(
  paths: readonly string[],
  runner: Runner,
): Promise<Map<string, Info>> {
  const argv = ["sh", "-c", LSTAT, "pvpn", ...paths];
  const { stdout, stderr } = await runner.query(argv, { anyStatus: true });
  const failed = stderr.split("\n").find((line) =>
    line !== "" && !/(?:No such file or directory|Not a directory)$/.test(line)
  );
  if (failed !== undefined) throw new PvpnError(ExitCode.usage, failed);
  return new Map(
    stdout.split("\n").flatMap((line) => {
      const [, mode, uid, path] = /^([0-9a-f]+) (\d+) (.+)$/.exec(line) ?? [];
      return path === undefined
        ? []
        : [[path, { mode: parseInt(mode!, 16), uid: Number(uid) }]];
    }),
  );
}

function refuse(why: string, hint: string): PvpnError {
  return new PvpnError(ExitCode.usage, why, [
    hint,
    "what it says is run as root: only root may be able to change it",
  ]);
}

function requireRoots(path: string, { mode, uid }: Info): void {
  if (uid !== 0) {
    throw refuse(
      `"${path}" belongs to user ${uid}, not to root`,
      `if it should not: chown root: ${path}`,
    );
  }
  // What a link's own mode says means nothing.
  if ((mode & S_IFMT) !== S_IFLNK && (mode & WRITABLE) !== 0) {
    const octal = (mode & 0o7777).toString(8);
    throw refuse(
      `"${path}" can be written by others than root (its mode is ${octal})`,
      `if they should not: chmod go-w ${path}`,
    );
  }
}

const split = (path: string) =>
  path.split("/").filter((part) => part !== "" && part !== ".");

/** What a path leads to. */
export interface Trusted {
  /** The path without any link in it. */
  readonly path: string;
  /** Whether it is a regular file. */
  readonly isFile: boolean;
}

/**
 * Follows a path part by part. All parts of what it gives are folders of
 * root's that nobody else can write, so that it means the same later on.
 *
 * @param path An absolute path.
 * @returns `undefined` where there is nothing.
 * @throws {PvpnError} Where somebody else could change where it leads, or
 * what is there; it names the part.
 */
export async function trustedPath(
  path: string,
  runner: Runner,
): Promise<Trusted | undefined> {
  let real: string[] = [];
  let todo = split(path);
  let isFile = false;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const link = await follow();
    if (link === "missing") return undefined;
    if (link === "end") return { path: `/${real.join("/")}`, isFile };
    if (link.startsWith("/")) real = [];
    todo = [...split(link), ...todo];
  }
  throw new PvpnError(ExitCode.usage, `"${path}" has too many links in it`);

  /** Goes up to the next link, and gives its target. */
  async function follow(): Promise<string> {
    const up = todo.indexOf("..");
    const run = up < 0 ? todo : todo.slice(0, up);
    const paths = run.map((_, i) =>
      "/" + [...real, ...run.slice(0, i + 1)].join("/")
    );
    const infos = await lstat(["/", ...paths], runner);
    requireRoots("/", infos.get("/")!);
    for (const at of paths) {
      const info = infos.get(at);
      if (info === undefined) return "missing";
      requireRoots(at, info);
      const part = todo.shift()!;
      if ((info.mode & S_IFMT) === S_IFLNK) return await readLink(at, runner);
      isFile = (info.mode & S_IFMT) === S_IFREG;
      real.push(part);
    }
    if (todo.shift() === undefined) return "end"; // or it was ".."
    real.pop();
    return ".";
  }
}

async function readLink(path: string, runner: Runner): Promise<string> {
  const { stdout } = await runner.query([
    ...["sh", "-c", 'exec readlink -- "$1"', "pvpn", path],
  ]);
  return stdout.replace(/\n$/, "");
}
