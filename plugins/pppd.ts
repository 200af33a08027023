/**
 * What pppd says when it ends, in words: pppd(8), EXIT STATUS.
 *
 * @module
 */
import { ExitCode, REMEDIES, type RemoteError, UnfitError } from "../plugin.ts";

/** How to do without pppd. */
export const WAY_OUT = "or use OpenSSH's own tunnel: -t ssh-3";

const DEBUG_HINT = "see what both ends say: pvpn -d";

/** What the shell says of a program that is not there. */
const MISSING = 127;
const NEGOTIATION_FAILED = 10;
const NO_KERNEL_SUPPORT = 4;

const MEANINGS: ReadonlyMap<number, string> = new Map([
  [1, "gave up"],
  [2, "refused its options"],
  [3, "may not run, for not being root"],
  [NO_KERNEL_SUPPORT, "finds no PPP in the kernel"],
  [5, "was told to end"],
  [8, "could not run ssh"],
  [9, "could not run ssh"],
  [NEGOTIATION_FAILED, "could not agree with the other end's"],
  [11, "wants the other end's to authenticate"],
  [12, "ended, as the link was idle"],
  [13, "ended, as its time was over"],
  [15, "lost the other end's, which answers nothing"],
  [16, "lost its connection"],
  [17, "hears only itself"],
  [19, "could not authenticate to the other end's"],
  [MISSING, "is not installed"],
]);

/** Statuses for which the options that are in force have to be looked at. */
const BY_OPTIONS: readonly number[] = [
  ...[2, NEGOTIATION_FAILED, 11, 12, 13, 17, 19],
];

/**
 * Where pppd's status is not as good as what it said: a kernel with PPP, but
 * not for what is no serial line (EINVAL of TIOCSETD); and a peer that gave
 * up, of which only the hang-up is left.
 */
function truly(status: number, said: string): number {
  if (/set tty to PPP discipline/.test(said)) return NO_KERNEL_SUPPORT;
  if (/terminated by peer/.test(said)) return NEGOTIATION_FAILED;
  return status;
}

function meaning(status: number): string {
  const known = MEANINGS.get(status);
  if (known !== undefined) return known;
  return status > 128
    ? `was ended by signal ${status - 128}`
    : `ended with status ${status}`;
}

function hintsOf(status: number, there: boolean): string[] {
  const on = there ? "type there: " : "";
  const end = there ? "the server" : "this machine";
  const hints: string[] = [];
  if (status === NO_KERNEL_SUPPORT) {
    hints.push(`${on}${REMEDIES.loadPpp}`, "in a container, ask for /dev/ppp");
  } else if (status === MISSING) {
    hints.push(`${on}${REMEDIES.installPpp}, or what it is elsewhere`);
  } else if (status === 3) {
    hints.push("log in as root: root@HOST");
  } else if (status === 2) {
    hints.push(`see /etc/ppp/options on ${end}`);
  } else if (BY_OPTIONS.includes(status)) {
    hints.push("see /etc/ppp/options, on both ends");
  } else {
    hints.push(DEBUG_HINT);
  }
  return [...hints, WAY_OUT];
}

function inWords(
  where: "this machine" | "the server",
  status: number,
  said: string,
): RemoteError {
  const what = `pppd on ${where} ${meaning(status)}`;
  // It puts its own name before what it says of its options.
  const detail = said.replace(/^\S*pppd: /, "");
  return {
    message: detail === "" ? what : `${what}: ${detail}`,
    hints: hintsOf(status, where === "the server"),
  };
}

/**
 * Why pppd on the server ended.
 *
 * @param detail Its exit status, and the last that it said.
 */
export function explainThere(detail: string): RemoteError {
  const [status = "", ...words] = detail.split(" ");
  const said = words.join(" ");
  return inWords("the server", truly(Number(status), said), said);
}

/** What pppd says of any link; the rest tells why one ended. */
export const CHATTER_REGEXP =
  /^pppd: (?:Using interface |Connect: |(?:local|remote) +(?:IP|LL) address |Modem hangup|Connection terminated|Terminating on signal|Connect time |Sent \d|Hangup |You need to create the |$)|^executing the following command|^\tmknod /;

const LL_REGEXP = /^pppd: \S+ +LL address /;

const SILENT: RemoteError = {
  message: "pppd on the server answers nothing",
  hints: [DEBUG_HINT, WAY_OUT],
};

const CODES: ReadonlyMap<number, ExitCode> = new Map([
  [NO_KERNEL_SUPPORT, ExitCode.missingProgram],
  [MISSING, ExitCode.missingProgram],
  [8, ExitCode.ssh],
  [9, ExitCode.ssh],
  [16, ExitCode.ssh],
]);

/**
 * Why there is no link, where neither ssh nor the server has said it.
 *
 * @param status The exit status of pppd on this machine; `undefined` where it
 * still waits.
 * @param lines What it (behind `pppd: `) and ssh have printed.
 */
export function explainHere(
  status: number | undefined,
  lines: readonly string[],
): UnfitError | undefined {
  const said =
    lines.findLast((line) =>
      line.startsWith("pppd: ") && !CHATTER_REGEXP.test(line)
    )?.slice("pppd: ".length) ?? "";
  if (status === undefined) {
    // IPv6 may have come up where IPv4 was refused.
    const heard = said !== "" || lines.some((line) => LL_REGEXP.test(line));
    const { message, hints } = heard
      ? inWords("this machine", NEGOTIATION_FAILED, said)
      : SILENT;
    return new UnfitError(ExitCode.server, message, hints);
  }
  // The other end has ended without a word of our script: ssh tells.
  if (status === 16 && lines.some((line) => /exit-status/.test(line))) {
    return undefined;
  }
  const cause = truly(status, said);
  const { message, hints } = inWords("this machine", cause, said);
  return new UnfitError(CODES.get(cause) ?? ExitCode.network, message, hints);
}
