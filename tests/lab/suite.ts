/** Tests that need the lab, so root. */
import { Lab, type LabOptions } from "./lab.ts";

/** A test that only root can run; others see why it is left out. */
export function rootTest(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({ name: ignore ? `${name} (needs root)` : name, ignore, fn });
}

/** A test with a lab of its own. */
export function labTest(
  name: string,
  body: (lab: Lab) => Promise<void>,
  options?: LabOptions,
): void {
  rootTest(name, async () => {
    await using lab = await Lab.up(options);
    await body(lab);
  });
}
