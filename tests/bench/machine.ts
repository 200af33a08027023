/** What of the benchmarks runs in the virtual machine of tests/lab/vm.sh. */
import { fromFileUrl } from "@std/path";
import { NO_MACHINE } from "../../tools/test_vm.ts";

/** The largest number of seconds that one run may take. */
const LIMIT = "2400";

/** What `VM_CLOCK` says in the machine, and to vm.sh. */
export const CLOCK = "instructions";

/**
 * Runs a program in the virtual machine, by whose clock what is emulated slowly
 * is not slow.
 *
 * @param url The program's URL.
 * @param args Its arguments.
 * @returns Its exit status; 0 where there is no machine, which vm.sh has told.
 */
export async function inMachine(
  url: string,
  args: readonly string[],
): Promise<number> {
  const vm = fromFileUrl(new URL("../lab/vm.sh", import.meta.url));
  const { code } = await new Deno.Command(vm, {
    args: [
      ...[Deno.execPath(), "run", "-A", "--no-check"],
      ...[fromFileUrl(url), ...args],
    ],
    env: {
      VM_TIMEOUT: Deno.env.get("VM_TIMEOUT") || LIMIT,
      VM_CLOCK: CLOCK,
    },
    stdin: "null",
  }).spawn().status;
  return code === NO_MACHINE ? 0 : code;
}
