/** The folders of labs: their names tell whose they are. */
import { startTime } from "./holder.ts";

/** Where labs are made. */
export function labsFolder(): string {
  return Deno.env.get("TMPDIR") || "/tmp";
}

/** Makes a folder whose name no other lab has, nor had in a dead process. */
export function makeFolder(parent = labsFolder()): string {
  const owner = `pvpn-lab-${Deno.pid}-${startTime(Deno.pid)}`;
  for (let n = 0;; n++) {
    try {
      Deno.mkdirSync(`${parent}/${owner}-${n}`, { mode: 0o755 });
      return `${parent}/${owner}-${n}`;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** Removes the folders of labs whose owner is dead; their nodes died with it. */
export async function cleanLeftovers(parent = labsFolder()): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(parent)) {
    const owner = /^pvpn-lab-(\d+)-(\d+)-\d+$/.exec(name);
    if (!owner || !isDirectory) continue;
    if (startTime(Number(owner[1])) === owner[2]) continue;
    try {
      await Deno.remove(`${parent}/${name}`, { recursive: true });
    } catch (error) {
      // Another lab may be cleaning as well.
      const { code } = error as { code?: string };
      if (code !== "ENOENT" && code !== "ENOTEMPTY") throw error;
    }
  }
}
