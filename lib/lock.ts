/**
 * Locks between pvpn processes: flock(2) on folders, and on files that are
 * there only while they are held. The kernel frees a dead process's locks.
 *
 * @module
 */
import { removeOwn } from "./state_file.ts";

/** A lock that is held. */
export interface Lock {
  /** Lets go, and removes the file before: who waits for it makes another. */
  release(): Promise<void>;
}

/**
 * Takes a lock.
 *
 * @param path A file, made where it is not there, or a directory.
 * @param options `wait`: whether to wait for somebody else who has it;
 * `create`: whether to make the file.
 * @returns `undefined` where somebody else has it, or it is not there and is
 * not to be made.
 */
export async function acquire(
  path: string,
  options: { wait: boolean; create: boolean },
): Promise<Lock | undefined> {
  if (!options.wait) return await take(path, options);
  const done = await turn(path);
  let lock: Lock | undefined;
  try {
    lock = await take(path, options);
  } finally {
    if (lock === undefined) done();
  }
  return lock && { release: () => lock.release().finally(done) };
}

const last = new Map<string, Promise<void>>();

/**
 * Waits for those of this process who want the same lock. Each that waits in
 * flock(2) has one of Deno's 32 threads for files, without which who holds the
 * lock cannot go on.
 *
 * @returns What lets the next one have its turn.
 */
async function turn(path: string): Promise<() => void> {
  const before = last.get(path);
  const { promise, resolve } = Promise.withResolvers<void>();
  last.set(path, promise);
  await before;
  return () => {
    if (last.get(path) === promise) last.delete(path);
    resolve();
  };
}

async function take(
  path: string,
  options: { wait: boolean; create: boolean },
): Promise<Lock | undefined> {
  while (true) {
    const file = await open(path, options.create);
    if (file === undefined) return undefined;
    try {
      if (options.wait) await file.lock(true);
      else if (!await file.tryLock(true)) return void file.close();
      // Who had it before may have removed the file while we waited: then
      // this lock is on something that nobody else will ever look at.
      if (await same(file, path)) {
        return held(file, options.create ? path : undefined);
      }
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
  }
}

async function open(
  path: string,
  create: boolean,
): Promise<Deno.FsFile | undefined> {
  try {
    return await Deno.open(
      path,
      create ? { write: true, create, mode: 0o600 } : { read: true },
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function same(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [ours, there] = [await file.stat(), await Deno.lstat(path)];
    return ours.ino === there.ino && ours.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function held(file: Deno.FsFile, path: string | undefined): Lock {
  return {
    async release() {
      try {
        // Somebody may have removed it, and others have made theirs.
        if (path !== undefined && await same(file, path)) await removeOwn(path);
      } finally {
        file.close();
      }
    },
  };
}
