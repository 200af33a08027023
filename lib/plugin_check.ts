/**
 * Whether something is a tunnel type: what a plugin that is not built in is
 * held to before anything of it is used.
 *
 * @module
 */
import { INTERFACE_VERSION, type TunnelPlugin } from "./tunnel.ts";

/** What may stand behind `-t`. */
export const TYPE_REGEXP = /^[a-z0-9][a-z0-9-]*$/;

const isText = (value: unknown): value is string => typeof value === "string";

/** What each member has to be, in words. */
const MEMBERS: Readonly<
  Record<keyof TunnelPlugin, readonly [(value: unknown) => boolean, string]>
> = {
  version: [(v) => v === INTERFACE_VERSION, ""], // told apart below
  type: [
    (v) => isText(v) && TYPE_REGEXP.test(v) && v !== "auto",
    "a word of a-z, 0-9 and -, other than auto",
  ],
  summary: [
    // deno-lint-ignore no-control-regex
    (v) => isText(v) && /^[^\x00-\x1f\x7f-\x9f]{1,60}$/.test(v),
    "one line of at most 60 characters",
  ],
  // A number is added, and the kernel takes 15 bytes.
  device: [(v) => isText(v) && /^[a-z]{1,8}$/.test(v), "1 to 8 letters a-z"],
  commands: [
    (v) =>
      Array.isArray(v) &&
      v.every((name) => isText(name) && /^\w[\w.+-]*$/.test(name)),
    "a list of programs' names",
  ],
  mtu: [
    (v) => v === undefined || Number.isInteger(v) && v as number >= 576,
    "a number of bytes, 576 or more",
  ],
  parallel: [
    (v) => v === undefined || typeof v === "boolean",
    "true or false",
  ],
  openssh: [
    (v) => v === undefined || isText(v) && /^\d+\.\d+$/.test(v),
    "a version such as 7.8",
  ],
  checks: [(v) => typeof v === "function", "a function"],
  remoteChecks: [
    (v) => v === undefined || typeof v === "function",
    "a function",
  ],
  open: [(v) => typeof v === "function", "a function"],
};

/**
 * Looks at a value that should be a plugin.
 *
 * @returns What is wrong with it; `undefined` where nothing is.
 */
export function pluginFault(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) {
    return "it has no default export that is a tunnel type";
  }
  const members = value as Readonly<Record<string, unknown>>;
  if (members.version !== INTERFACE_VERSION) {
    const found = typeof members.version === "number"
      ? `version ${members.version}`
      : "no version";
    return `it is written to ${found} of the interface, and this is ` +
      `version ${INTERFACE_VERSION}`;
  }
  for (const [name, [check, words]] of Object.entries(MEMBERS)) {
    if (check(members[name])) continue;
    return members[name] === undefined
      ? `it has no "${name}"`
      : `its "${name}" is not ${words}`;
  }
  return undefined;
}
