/**
 * The tunnel types that a connect may use, and why this machine cannot do one.
 *
 * @module
 */
import type { Runner } from "./command.ts";
import type { ConnectRequest } from "./connect.ts";
import type { Environment } from "./environment.ts";
import { ExitCode, UnfitError } from "./errors.ts";
import type { Found } from "./registry.ts";
import { MIN_MTU_6 } from "./state.ts";
import {
  DEFAULT_MTU,
  MAX_MTU,
  type TunnelOptions,
  type TunnelPlugin,
} from "./tunnel.ts";
import { identity, type User } from "./user.ts";

/** A type that may be used. */
export interface Candidate extends Found {
  /** What its checks are asked with; no device is chosen yet. */
  readonly options: TunnelOptions;
  /** MTU of what goes beyond the server, in bytes: the devices' or less. */
  readonly beyondMtu: number;
  /** Why this machine cannot do it. */
  readonly unfit: UnfitError | undefined;
}

/**
 * Finds the types that a request is for, in the order in which they are tried.
 *
 * @throws {PvpnError} Where there is none, or it cannot be loaded.
 */
export async function candidates(
  request: ConnectRequest,
  user: User | undefined,
  { registry, runner }: Environment,
): Promise<readonly Candidate[]> {
  const choices = await (await registry()).choices(request.type);
  // Where there are others, it is not left to connecting to find out.
  const skipLate = choices.length === 1;
  return await Promise.all(choices.map(async (found) => {
    const own = found.plugin.mtu;
    const auto = request.mtu === "auto";
    const mtu = auto ? own ?? MAX_MTU : request.mtu ?? own ?? DEFAULT_MTU;
    const beyondMtu = auto ? own ?? DEFAULT_MTU : mtu;
    const ipv6 = carriesIpv6(request, beyondMtu, true);
    const options = {
      ...{ device: "", mtu, ipv6, resume: false },
      ...(request.parallel === undefined ? {} : { parallel: request.parallel }),
      ...identity(user),
    };
    const unfit = await lackingHere(found.plugin, options, skipLate, runner);
    return { ...found, options, beyondMtu, unfit };
  }));
}

async function lackingHere(
  plugin: TunnelPlugin,
  options: TunnelOptions,
  skipLate: boolean,
  runner: Runner,
): Promise<UnfitError | undefined> {
  if (options.parallel !== undefined && plugin.parallel !== true) {
    return new UnfitError(
      ExitCode.usage,
      `"${plugin.type}" has one ssh process, and --parallel asks for ` +
        `${options.parallel}`,
      ["use a type that can have more: -t ssh-gso"],
    );
  }
  const checks = plugin.checks(options)
    .filter(({ late = false }) => !(late && skipLate));
  const passed = await Promise.all(
    checks.map((check) => check.passes((argv, how) => runner.query(argv, how))),
  );
  const lacking = checks.find((_, index) => !passed[index]);
  return lacking && new UnfitError(
    ExitCode.missingProgram,
    `"${plugin.type}" needs ${lacking.name}`,
    [lacking.hint],
  );
}

/** Whether the tunnel is to carry IPv6, on a machine that has it or not. */
export function carriesIpv6(
  { routes, autoNets, ipv6 }: ConnectRequest,
  mtu: number,
  here: boolean,
): boolean {
  const wanted = here && ipv6 === "tunnel";
  return mtu >= MIN_MTU_6 && (autoNets && wanted ||
    routes.some((route) => route === "default" ? wanted : route.family === 6));
}
