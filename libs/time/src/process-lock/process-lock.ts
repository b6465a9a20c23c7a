import { randomBytes } from 'node:crypto';
import { lstat, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';
import { notRegular, readRegularFile } from '@emloc/untrusted';

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
/** Far more than a host's name and a few numbers take. */
const mostHolderBytes = 65_536;

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
 * @throws LockHeldError; FileRefusal where something else than a file has its name; the system's
 * error where nothing can be written there
 */
export async function lockFile(path: string): Promise<AsyncDisposable> {
  const own = JSON.stringify({
    ...identityOf(process.pid),
    token: randomBytes(6).toString('hex'),
  } satisfies LockHolder);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await create(path, own)) return hold(path, own);
    const holder = await readHolder(path);
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
      if ((await readHolder(path).catch(() => null)) === own) await rm(path, { force: true });
    },
  };
}

/**
 * What a lock says of its holder; null: it is gone. Locks are never links, and one that leads
 * nowhere would be in the way for ever without being there.
 */
async function readHolder(path: string): Promise<string | null> {
  try {
    if (!(await lstat(path)).isFile()) throw notRegular(path);
    return (await readRegularFile(path, mostHolderBytes)).toString('utf8');
  } catch (error) {
    return ignoreMissing(error as NodeJS.ErrnoException);
  }
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
  const found = await readHolder(aside);
  if (found !== null && found !== expected) await create(path, found);
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
