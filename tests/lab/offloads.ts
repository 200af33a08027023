import type { Lab } from "./lab.ts";

/**
 * Has no device behind the server do for others what is the sender's to do;
 * returns what takes that back.
 */
export async function noOffloads(
  { server, inet }: Lab,
): Promise<() => Promise<void>> {
  const set = async (to: "on" | "off") => {
    for (const [node, device] of [[server, "s1"], [inet, "i0"]] as const) {
      const all = ["tx", "rx", "tso", "gso", "gro", "sg"];
      const words = all.flatMap((name) => [name, to]);
      await node.ok(["ethtool", "-K", device, ...words]);
    }
  };
  await set("off");
  return () => set("on");
}
