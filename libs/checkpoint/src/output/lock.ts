import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import process from 'node:process';
import { Renewal } from '@emloc/time';

import { CheckpointError, errnoCode, fileError } from '../errors.js';

/** Who holds a lock. */
interface LockHolder {
  readonly host: string;
  readonly pid: number;
  /**
   * Start of the process in the kernel's ticks, where it tells; null elsewhere. A process number
   * alone may be another's by now.
   */
  readonly started: string | null;
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

/**
 * Takes the lock file `path`, whose folder must exist; the lock of a process that is gone is taken
 * over. Held until it is disposed.
 * @throws CheckpointError CHECKPOINT_OUTPUT_BUSY while another process holds it,
 * CHECKPOINT_OUTPUT_UNWRITABLE
 */
export async function lockOutput(path: string): Promise<AsyncDisposable> {
  const own = JSON.stringify({
    host: hostname(),
    pid: process.pid,
    started: await startOf(process.pid),
    token: randomBytes(6).toString('hex'),
  } satisfies LockHolder);
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await create(path, own)) return holdLock(path, own);
    const holder = await readFile(path, 'utf8').catch(ignoreMissing);
    if (holder === null) continue;
    if (await isAlive(holder, path)) throw busy(path, holder);
    await discard(path, holder);
  }
  throw busy(path, '');
}

function holdLock(path: string, own: string): AsyncDisposable {
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
  const file = await open(path, 'wx').catch((error: unknown) => {
    if (errnoCode(error) === 'EEXIST') return null;
    throw unwritable(error, path);
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
    throw fileError(error, path);
  }
}

/** Where permissions say nothing of it, as in file systems of the kernel. */
function unwritable(error: unknown, path: string): unknown {
  const code = errnoCode(error) ?? '';
  if (!['EACCES', 'EINVAL', 'ENOENT', 'ENOTSUP', 'EPERM', 'EROFS'].includes(code))
    return fileError(error, path);
  return new CheckpointError(
    'CHECKPOINT_OUTPUT_UNWRITABLE',
    `${path}: nothing can be written in ${dirname(path)} (${code})`,
    { cause: error },
  );
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

async function isAlive(text: string, path: string): Promise<boolean> {
  const holder = parse(text);
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
  if (!holder) return Date.now() - mtimeMs < writingMs;
  if (holder.host !== hostname()) return Date.now() - mtimeMs < silenceMs;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return (await startOf(holder.pid)) === holder.started;
}

function parse(text: string): LockHolder | null {
  try {
    const value = JSON.parse(text) as Partial<LockHolder> | null;
    return typeof value?.host === 'string' && Number.isSafeInteger(value.pid)
      ? (value as LockHolder)
      : null;
  } catch {
    return null;
  }
}

/**
 * Field 22 of /proc/PID/stat, proc(5): the name in field 2 may hold spaces, so what follows it is
 * counted.
 */
async function startOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return (
    text
      ?.slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .at(19) ?? null
  );
}

function busy(path: string, text: string): CheckpointError {
  const holder = parse(text);
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process';
  return new CheckpointError(
    'CHECKPOINT_OUTPUT_BUSY',
    `${who} writes to this output (lock ${path})`,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): null {
  if (error.code !== 'ENOENT') throw error;
  return null;
}
