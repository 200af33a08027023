/** Debian's packages, unpacked where only one node of the lab sees them. */
import type { Node } from "./node.ts";

/** Where tests/lab/packages.sh puts them. */
function folder(): string {
  const home = Deno.env.get("HOME") || "/root";
  const cache = Deno.env.get("VM_CACHE") ||
    `${Deno.env.get("XDG_CACHE_HOME") || `${home}/.cache`}/pvpn-vm`;
  return `${cache}/packages-1`;
}

/** Whether they have been fetched. */
export function havePackages(): boolean {
  try {
    return Deno.statSync(folder()).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Unpacks packages on a node, without their scripts. Its /usr gets a layer of
 * its own first; /etc has one already. All of it goes with the node.
 */
export async function unpack(
  node: Node,
  names: readonly string[],
): Promise<void> {
  const files = [...Deno.readDirSync(folder())].map(({ name }) => name);
  const paths = names.map((name) => {
    const file = files.find((file) => file.startsWith(`${name}_`));
    if (file === undefined) throw new Error(`no package ${name}`);
    return `${folder()}/${file}`;
  });
  const script = `
mount -t tmpfs layer /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work usr /usr
for package; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C /
done`;
  await node.ok(["sh", "-e", "-c", script, "sh", ...paths]);
}
