/**
 * `-t auto`: the fastest tunnel type that both ends can do.
 *
 * ssh opens both devices of `-w` when it logs in, before the server can say
 * what it has. So there is a login of its own for `ssh-3`, and no second one
 * but where the server lacks what the first type needs; it says in that first
 * login what it lacks for the others.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import { ExitCode, PvpnError, UnfitError } from "./errors.ts";
import type { Log } from "./log.ts";
import { checkFunction } from "./probe_script.ts";
import type { RemotePart } from "./remote_script.ts";
import type { RemoteCheck } from "./tunnel.ts";

/** What {@linkcode firstThatFits} depends on. */
export interface AutoOptions {
  /** SSH-HOST, for messages. */
  readonly host: string;
  /** Whether nothing is really done: the server is not asked then. */
  readonly dry: boolean;
  /** Tells what was chosen, and why the others were not. */
  readonly log: Log;
}

/** A type, and why it cannot be used. */
interface Refusal {
  readonly type: string;
  readonly error: UnfitError;
}

/**
 * Connects by the first type that both ends can do.
 *
 * @param types The types, the fastest first.
 * @param options The rest.
 * @param attempt Connects by one, with more parts of the server's script; when
 * it rejects, nothing of it is left on either end.
 * @throws {PvpnError} Where none can be used: why each of them cannot; or what
 * has nothing to do with the type.
 */
export async function firstThatFits<T>(
  types: readonly Candidate[],
  { host, dry, log }: AutoOptions,
  attempt: (type: Candidate, parts: readonly RemotePart[]) => Promise<T>,
): Promise<T> {
  const refused: Refusal[] = [];
  const refuse = (type: string, error: UnfitError) => {
    refused.push({ type, error });
    log.info(`auto: not ${type}: ${error.message}`);
  };
  for (const { plugin, unfit } of types) {
    if (unfit !== undefined) refuse(plugin.type, unfit);
  }
  const fit = types.filter(({ unfit }) => unfit === undefined);
  let lacking: Lacking = new Map();
  let tried = false;
  for (const [index, candidate] of fit.entries()) {
    const { type } = candidate.plugin;
    const known = lacking.get(type);
    if (known !== undefined) {
      refuse(type, known);
      continue;
    }
    if (tried) log.info(`auto: logging in again, for ${type}`);
    const left = fit.slice(index);
    try {
      const parts = left.length > 1 && !tried
        ? [surveyPart(left, (found) => lacking = found)]
        : [];
      const result = await attempt(candidate, parts);
      const slower = left.slice(1).map(({ plugin }) => plugin.type).join(", ");
      log.info(
        `auto: ${type}` + (dry ? `, if "${host}" can do it` : "") +
          (slower && `; slower, and not tried: ${slower}`),
      );
      return result;
    } catch (error) {
      const why = error instanceof UnfitError ? error : lacking.get(type);
      if (why === undefined) throw error;
      refuse(type, why);
      tried = true;
    }
  }
  throw noneFits(host, refused);
}

function noneFits(host: string, refused: readonly Refusal[]): PvpnError {
  const here = refused.every(({ error }) =>
    error.code === ExitCode.missingProgram || error.code === ExitCode.usage
  );
  const reasons = refused.map(({ type, error }) => `${type}: ${error.message}`);
  return new PvpnError(
    here ? ExitCode.missingProgram : ExitCode.server,
    `no tunnel type can be used with "${host}": ${reasons.join("; ")}`,
    refused.flatMap(({ type, error }) =>
      error.hints.slice(0, 1).map((hint) => `for ${type}: ${hint}`)
    ),
  );
}

/** By type, what the server lacks of what it needs. */
type Lacking = ReadonlyMap<string, UnfitError>;

/**
 * A part of the server's script that ends it where the first type's needs are
 * not there, and says then what it lacks for all of them.
 *
 * @param types The types.
 * @param found Is told what is lacking, by type.
 */
export function surveyPart(
  types: readonly Pick<Candidate, "plugin" | "options">[],
  found: (lacking: Lacking) => void,
): RemotePart {
  const needs = types.map(({ plugin, options }) =>
    (plugin.remoteChecks?.(options) ?? [])
      .map((check) => ({ type: plugin.type, check }))
  );
  const all = needs.flat();
  const own = needs[0]?.length ?? 0;
  const look = all.map((_, index) => `survey ${index}`);
  const text = [
    SURVEY,
    ...all.map(({ check }, index) => checkFunction(check, index)),
    ...look.slice(0, own),
    '[ -z "$lacking" ] || {',
    ...look.slice(own),
    "fail lacking $lacking",
    "}",
  ].join("\n");
  return {
    text,
    errors: {
      notroot: () => ({
        message: "the login is not root's, and only root may change the " +
          "server's network",
        hints: ["log in as root: root@HOST"],
      }),
      lacking(detail) {
        const missing = detail.split(" ").flatMap((word) =>
          all[/^\d{1,3}$/.test(word) ? Number(word) : -1] ?? []
        );
        const errors = Map.groupBy(missing, ({ type }) => type);
        found(
          new Map([...errors].map(([type, of]) => [
            type,
            lacks(of.map(({ check }) => check)),
          ])),
        );
        return { message: `the server's set-up failed: ${detail}`, hints: [] };
      },
    },
  };
}

const SURVEY = `
[ "$(id -u)" = 0 ] || fail notroot
lacking=
survey() {
  "check_$1" >/dev/null 2>&1 </dev/null
  case $? in 0 | 2) ;; *) lacking="\${lacking:+$lacking }$1" ;; esac
}`.trim();

function lacks(checks: readonly RemoteCheck[]): UnfitError {
  const names = checks.map(({ name }) => name).join(" and ");
  return new UnfitError(
    ExitCode.server,
    `the server lacks ${names}`,
    checks.map(({ hint }) => `type there: ${hint}`),
  );
}
