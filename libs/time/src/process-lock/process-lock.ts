import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';

import { Renewal } from '../renewal.js';
import { identityOf, isRunning, parseIdentity, type ProcessIdentity } from './process-identity.js';

/** Who holds a lock. */
interface LockHolder extends ProcessIdentity {
  /** Tells two holders in one process apart. */
  readonly token: string;
}

const heartbeatMs = 15_000;
/**
 * Whether a process lives cannot be seen from another host: there its lock is stale when it was not
 * renewed for so long.
 */
const silenceMs = 10 * 60_000;
/** A lock that cannot be read is being written, or, after so long, was never finished. */
const writingMs = 5000;
const attempts = 5;

/** Another process, or another part of this one, holds a lock. */
export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
  /** The holder, for a message. */
  readonly who: string;

  constructor(path: string, holder: ProcessIdentity | null) {
    const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process';
    super(`${who} has the lock ${path}`);
    this.who = who;
  }
}

/**
 * Takes the lock file `path`, whose folder must exist; the lock of a process that is gone is taken
 * over. Held until it is disposed.
 * @throws LockHeldError; the system's error where nothing can be written there
 */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  const own = JSON.stringify({
    ...identityOf(process.pid),
    token: randomBytes(6).toString('hex'),
  } satisfies LockHolder);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await create(path, own)) return hold(path, own);
    const holder = await readFile(path, 'utf8').catch(ignoreMissing);
    if (holder === null) continue;
    if (await isHeld(holder, path)) throw new LockHeldError(path, parseIdentity(holder));
    await discard(path, holder);
  }
  throw new LockHeldError(path, null);
}

function hold(path: string, own: string): AsyncDisposable {
  const renewal = new Renewal({
    everyMs: heartbeatMs,
    renew: async () => {
      await utimes(path, new Date(), new Date());
      return null;
    },
    // Where it cannot be renewed, others decide by the process.
    onLost: () => undefined,
    holdsProcess: false,
  });
  return {
    async [Symbol.asyncDispose]() {
      await renewal.end();
      if ((await readFile(path, 'utf8').catch(ignoreMissing)) === own)
        await rm(path, { force: true });
    },
  };
}

/** Resolves to false where there is a lock. */
async function create(path: string, own: string): Promise<boolean> {
  const file = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return null;
    throw error;
  });
  if (file === null) return false;
  try {
    await file.writeFile(own);
    await file.close();
    return true;
  } catch (error) {
    // A lock that tells nobody's name would stand in everybody's way.
    await file.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}

/** Removes the lock that was read; one that took its place meanwhile is put back. */
async function discard(path: string, expected: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return;
  }
  const found = await readFile(aside, 'utf8');
  if (found !== expected) await create(path, found);
  await rm(aside, { force: true });
}

async function isHeld(text: string, path: string): Promise<boolean> {
  const holder = parseIdentity(text);
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
  if (!holder) return Date.now() - mtimeMs < writingMs;
  if (holder.host !== hostname()) return Date.now() - mtimeMs < silenceMs;
  return isRunning(holder);
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code !== 'ENOENT') throw error;
  return null;
}
