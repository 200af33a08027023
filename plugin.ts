/**
 * What the author of a tunnel type imports, as a part of mod.ts. A built-in type
 * has nothing else.
 *
 * @module
 */
export * from "./lib/address.ts";
export type { Argv, CommandOutput, RunOptions } from "./lib/command.ts";
export {
  ExitCode,
  InterruptedError,
  PvpnError,
  UnfitError,
  UsageError,
} from "./lib/errors.ts";
export type { IpLine } from "./lib/link.ts";
export type { Log } from "./lib/log.ts";
export type { Pair } from "./lib/pair.ts";
export type { ProcessId } from "./lib/process.ts";
export { quote, quoteAll } from "./lib/quote.ts";
export { PairTakenError, type RemoteFacts } from "./lib/remote.ts";
export { type RemoteError, type RemoteScript } from "./lib/remote_script.ts";
export type { Owner, ResolverStep } from "./lib/resolver_step.ts";
export { REMEDIES } from "./lib/remedy.ts";
export type { Resolvers, ServerResolvers } from "./lib/resolver.ts";
export {
  type CarryOptions,
  type Check,
  type Flow,
  INTERFACE_VERSION,
  type RemoteCheck,
  type Tunnel,
  type TunnelContext,
  type TunnelOptions,
  type TunnelPlugin,
} from "./lib/tunnel.ts";
export {
  deleteLink,
  type FileStep,
  type IpStep,
  type ProcessStep,
  type UndoStep,
} from "./lib/undo_step.ts";
