/** What of the benchmarks runs in the virtual machine of tests/lab/vm.sh. */
import { fromFileUrl } from "@std/path";
import { NO_MACHINE } from "../../tools/test_vm.ts";

/** The largest number of seconds that one run may take. */
const LIMIT = "900";

/**
 * Runs a program in the virtual machine.
 *
 * @param url The program's URL.
 * @param args Its arguments.
 * @param env Variables for vm.sh, and for the program.
 * @returns Its exit status; 0 where there is no machine, which vm.sh has told.
 */
export async function inMachine(
  url: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const vm = fromFileUrl(new URL("../lab/vm.sh", import.meta.url));
  const { code } = await new Deno.Command(vm, {
    args: [
      ...[Deno.execPath(), "run", "-A", "--no-check"],
      ...[fromFileUrl(url), ...args],
    ],
    env: { VM_TIMEOUT: Deno.env.get("VM_TIMEOUT") || LIMIT, ...env },
    stdin: "null",
  }).spawn().status;
  return code === NO_MACHINE ? 0 : code;
}
