/** The shells that servers have: those of them that are here. */
import { system, which } from "./helpers.ts";

/** Whether the shell runs the `ip` that is in PATH, not one of its own. */
async function usesPath(shell: string): Promise<boolean> {
  const argv = [...shell.split(" "), "-c", "PATH=/nowhere; command -v ip"];
  return (await system.query(argv, { anyStatus: true })).status !== 0;
}

/** Their command lines, such as `/bin/busybox sh`. */
export const shells: readonly string[] = await (async () => {
  const found = ["/bin/sh"];
  for (const name of ["dash", "bash", "busybox", "mksh", "ksh93"]) {
    const path = await which(name);
    const shell = name === "busybox" ? `${path} sh` : path;
    if (path !== undefined && await usesPath(shell!)) found.push(shell!);
  }
  return found;
})();
