/** Tests that need the lab, so root. */
import { assertEquals } from "@std/assert";
import { deadline } from "./deadline.ts";
import { Lab, type LabOptions, type Node } from "./lab.ts";
import { changes, settled } from "./snapshot.ts";

/** No test takes as long, in minutes: one that does has hung. */
const HUNG = 15;

/**
 * Fails where a test hangs, so that those behind it run. What it has left
 * running ends with its lab.
 */
async function bounded(body: Promise<void>, minutes = HUNG): Promise<void> {
  const hung = Promise.withResolvers<never>();
  const error = new Error(`did not end within ${minutes} minutes, or so`);
  const reject = () => hung.reject(error);
  const timer = setTimeout(reject, deadline(minutes * 60_000));
  try {
    await Promise.race([body, hung.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A test that only root can run; others see why it is left out. */
export function rootTest(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({
    name: ignore ? `${name} (needs root)` : name,
    ignore,
    fn: () => bounded(fn(), HUNG + 2), // its own lab ends before
  });
}

/** A test with a lab of its own. */
export function labTest(
  name: string,
  body: (lab: Lab) => Promise<void>,
  options?: LabOptions,
): void {
  rootTest(name, async () => {
    await using lab = await Lab.up(options);
    await bounded(body(lab));
  });
}

/** Fails with the first lines that differ. */
function assertSame(node: Node, before: string, after: string): void {
  const lines = changes(before, after).filter((line) => !/sysctl/.test(line));
  const first = lines.slice(0, 20).map((line) => line.slice(0, 200));
  assertEquals(first, [], `the ${node.name} has changed`);
  assertEquals(after, before, `the ${node.name} is in another order`);
}

/**
 * Proves that both ends are, byte for byte, as they were: the client as soon
 * as `body` is done, the server, which cleans itself, a little later.
 *
 * @param others More servers.
 */
export async function unchanged<T>(
  { client, server }: Lab,
  body: () => Promise<T>,
  others: readonly Node[] = [],
): Promise<T> {
  const servers = [server, ...others];
  const [atClient, ...atServers] = await Promise.all(
    [client, ...servers].map((node) => node.snapshot()),
  );
  const result = await body();
  assertSame(client, atClient!, await client.snapshot());
  for (const [i, node] of servers.entries()) {
    assertSame(node, atServers[i]!, await settled(node, atServers[i]!));
  }
  return result;
}

/** A test in the lab of its file; both ends must be unchanged behind it. */
export type LabTest = (
  name: string,
  body: (lab: Lab) => Promise<void>,
) => void;

/**
 * One lab for all tests of a file, made when the first starts; a test that
 * fails does not leave what it broke to the next.
 *
 * @param options What the lab is like.
 * @param prepare Makes of it what the tests expect.
 */
export function suite(
  options: LabOptions = {},
  prepare: (lab: Lab) => Promise<void> = () => Promise.resolve(),
): LabTest {
  let lab: Lab | undefined;
  const make = async () => {
    lab = await Lab.up(options);
    await prepare(lab);
  };
  const attempt = async (body: (lab: Lab) => Promise<void>) => {
    const here = lab!;
    try {
      await bounded(unchanged(here, () => body(here)));
    } catch (error) {
      await here.down();
      await make();
      throw error;
    }
  };
  if (Deno.uid() === 0) {
    Deno.test.beforeAll(make);
    Deno.test.afterAll(() => lab?.down());
  }
  return (name, body) =>
    Deno.test({
      name: Deno.uid() === 0 ? name : `${name} (needs root)`,
      ignore: Deno.uid() !== 0,
      // The lab's processes are not those of one test: sshd may be restarted.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () => attempt(body),
    });
}
