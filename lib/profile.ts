/**
 * Profiles: `pvpn @NAME` reads `/etc/pvpn/NAME.conf`, the words of a command
 * line, one option a line. It is read as root and chooses what runs as root,
 * so that only root may be able to write it.
 *
 * @module
 */
import { UsageError } from "./errors.ts";
import { OPTIONS } from "./options.ts";

/** Where profiles are. */
export const PROFILE_DIR = "/etc/pvpn";

/** The words of a command line that a file holds. */
export interface Profile {
  /** The file. */
  readonly path: string;
  /** Its arguments, as they could be typed. */
  readonly args: readonly string[];
  /** What it adds to `SSH_ARGS`. */
  readonly sshArgs: string;
}

/** The longest file that is read, in bytes: more is no profile. */
const MAX_SIZE = 65536;

/**
 * Reads a profile.
 *
 * @param name What stands behind the `@`.
 * @param dir The folder; {@linkcode PROFILE_DIR} but in tests.
 * @throws {UsageError} Where there is none, or somebody else than root could
 * write it, or it has a line that makes no sense.
 */
export function readProfile(name: string, dir: string = PROFILE_DIR): Profile {
  if (!/^\w[\w.-]{0,200}$/.test(name)) {
    throw new UsageError(
      `${JSON.stringify("@" + name)} names no profile`,
      `@NAME stands for the file ${dir}/NAME.conf; see pvpn(8), PROFILES`,
    );
  }
  const path = `${dir}/${name}.conf`;
  try {
    requireOwn(dir, Deno.lstatSync(dir), "isDirectory");
    const info = Deno.lstatSync(path);
    requireOwn(path, info, "isFile");
    if (info.size > MAX_SIZE) {
      throw new UsageError(`${path} has over ${MAX_SIZE} bytes`);
    }
    return parseProfile(Deno.readTextFileSync(path), path);
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof Error)) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new UsageError(`there is no profile "${name}"`, known(dir));
    }
    throw new UsageError(
      `the profile "${name}" cannot be read: ${error.message}`,
      `look at what it is: ls -ld ${dir} ${path}`,
    );
  }
}

/** No link: whoever could change where it leads would choose the file. */
function requireOwn(
  path: string,
  info: Deno.FileInfo,
  kind: "isDirectory" | "isFile",
): void {
  if (!info[kind]) {
    const what = kind === "isFile" ? "file" : "folder";
    throw new UsageError(`${path} is not a ${what} (nor may it be a link)`);
  }
  if (info.uid === 0 && (info.mode! & 0o022) === 0) return;
  throw new UsageError(
    `others than root may write ${path}, which says what runs as root`,
    `look at what is in it, then: chown root ${path}; chmod go-w ${path}`,
  );
}

function known(dir: string): string {
  let names: string[] = [];
  try {
    names = [...Deno.readDirSync(dir)].flatMap(({ name }) =>
      name.endsWith(".conf") ? `@${name.slice(0, -".conf".length)}` : []
    );
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.length === 0
    ? `there is none in ${dir}; see pvpn(8), PROFILES`
    : `those that there are: ${names.sort().join(", ")}`;
}

/**
 * Reads a profile's text: what each line stands for on a command line. Its
 * values are left for the parser of the command line.
 *
 * @throws {UsageError} Where a line is neither an option of connecting, nor
 * `host`, `route` or `ssh-args`.
 */
export function parseProfile(text: string, path: string): Profile {
  const options: string[] = [];
  const hosts: string[] = [];
  const routes: string[] = [];
  const sshArgs: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const [, key = "", value = ""] =
      /^\s*([^\s=]+)(?:\s*=\s*|\s+|$)(.*?)\s*$/.exec(line) ?? [];
    if (/^\s*(?:#|$)/.test(line)) continue;
    const wrong = (why: string) =>
      new UsageError(
        `${path}, line ${index + 1}: ${why}`,
        "a line is host HOST, route ROUTE, ssh-args ARGS, or an option of " +
          "connecting without its --; see pvpn(8), PROFILES",
      );
    // deno-lint-ignore no-control-regex
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(line)) {
      throw wrong("it has a control character in it");
    }
    const lists: Readonly<Record<string, string[]>> = {
      ...{ host: hosts, route: routes, "ssh-args": sshArgs },
    };
    const list = Object.hasOwn(lists, key) ? lists[key] : undefined;
    const option = OPTIONS.find(({ group, long }) =>
      group === "connect" && long === key
    );
    if (list === undefined && option === undefined) {
      throw wrong(`"${key || line.trim()}" is not an option of connecting`);
    }
    const flag = option !== undefined && option.value === undefined;
    if ((value === "") !== flag) {
      throw wrong(
        flag ? `"${key}" takes no value` : `"${key}" lacks its value`,
      );
    }
    if (list !== undefined) list.push(value);
    else options.push(flag ? `--${key}` : `--${key}=${value}`);
  }
  if (hosts.length !== 1) {
    throw new UsageError(
      `${path} has ${hosts.length} lines that say host`,
      "it needs one: host HOST, as for ssh",
    );
  }
  const words = [...hosts, ...routes.flatMap((line) => line.split(/\s+/))];
  return {
    path,
    args: [...options, "--", ...words],
    sshArgs: sshArgs.join(" "),
  };
}
