/**
 * Applies changes that `ip` makes: all of one family in one `ip -batch`.
 *
 * @module
 */
import type { Family } from "./address.ts";
import type { Runner } from "./command.ts";
import { ExitCode, PvpnError } from "./errors.ts";
import { batchErrors } from "./undo.ts";
import type { IpStep } from "./undo_step.ts";

/**
 * The group of tunnels' devices (ip-link(8)): all others are "outside" to the
 * guard of any tunnel's names.
 */
export const DEVICE_GROUP = 28790;

/** A line of an `ip -batch`, and what it is for in an error's words. */
export interface IpLine {
  /** The words, such as `link set dev tun0 up`. */
  readonly words: readonly string[];
  /** Whether it may fail: where the kernel lacks what it sets. */
  readonly optional?: boolean;
}

/** The line that adds what a step deletes. */
export function addLine(step: IpStep): IpLine {
  return { words: [step.object, "add", ...step.words] };
}

// EEXIST: of a route, a rule or an address.
const EXISTS_REGEXP = /File exists|already assigned/;
// A kernel without the family has no packets of it to keep in.
const NO_FAMILY_REGEXP = /Address family not supported/;

/**
 * Runs lines in one `ip -batch`.
 *
 * @param family Of which protocol.
 * @param lines What to run, in order; the first failure ends it.
 * @param runner Runs it.
 * @param options `keep`: what is there already is no failure (reconnecting).
 * @throws {PvpnError} What failed, in words.
 */
export async function applyIp(
  family: Family,
  lines: readonly IpLine[],
  runner: Runner,
  options: { keep?: boolean } = {},
): Promise<void> {
  if (lines.length === 0) return;
  const force = options.keep || lines.some(({ optional }) => optional);
  const argv = ["ip", `-${family}`, ...(force ? ["-force"] : [])];
  const input = lines.map(({ words }) => words.join(" ") + "\n").join("");
  const output = await runner.change([...argv, "-batch", "-"], {
    input,
    anyStatus: true,
  });
  if (output.status === 0) return;
  const errors = batchErrors(output);
  const failed = errors.filter(({ line, reason }) =>
    !lines[line - 1]?.optional &&
    !(options.keep && EXISTS_REGEXP.test(reason)) &&
    !(family === 6 && NO_FAMILY_REGEXP.test(reason))
  );
  // Killed, it may have stopped anywhere: that is no list of what failed.
  const cut = output.status >= 128;
  if (!cut && failed.length === 0 && errors.length > 0) return;
  const [first] = failed;
  const words = lines[(first?.line ?? 0) - 1]?.words ?? [];
  const reason = first?.reason ?? output.stderr.trim();
  // Without -force, ip stops at the first failure.
  const missed = cut || first === undefined
    ? []
    : lines.filter((_, index) =>
      force
        ? failed.some(({ line }) => line === index + 1)
        : index + 1 >= first.line
    );
  throw applyError(words, reason, missed);
}

/** Lines that `ip` did not do, and why. */
export class IpError extends PvpnError {
  override readonly name = "IpError";

  /** See {@linkcode PvpnError}; `missed`: the lines that were not done. */
  constructor(
    readonly missed: readonly IpLine[],
    message: string,
    hints: readonly string[],
  ) {
    super(ExitCode.network, message, hints);
  }
}

function applyError(
  words: readonly string[],
  reason: string,
  missed: readonly IpLine[],
): IpError {
  const line = `ip ${words.join(" ")}`;
  if (words[0] === "route" && EXISTS_REGEXP.test(reason)) {
    const network = words[2] === "unreachable" ? words[3] : words[2];
    return new IpError(
      missed,
      `this machine has a route to ${network} already`,
      [
        `see which: ip route show ${network}`,
        "stop what made it, or leave it out; pvpn never replaces a route",
      ],
    );
  }
  if (words[0] === "rule" && EXISTS_REGEXP.test(reason)) {
    return new IpError(missed, `this machine has such a rule already`, [
      `it is: ip ${words.join(" ").replace("add", "show")}`,
      "stop what made it; pvpn never replaces a rule",
    ]);
  }
  const permission = /not permitted/.test(reason)
    ? ["root in a container needs CAP_NET_ADMIN"]
    : [];
  return new IpError(
    missed,
    `this machine's network could not be set up: ${reason}`,
    [`the command was: ${line}`, ...permission],
  );
}
