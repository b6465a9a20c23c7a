import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { fileError } from '../errors.js';
import { lockOutput } from './lock.js';
import { createParent, findPlace, hiddenPath, locatePlace, type OutputPlace } from './place.js';
import { isUnsettled, settle } from './settle.js';

/** A place whose lock this process holds, with nothing half done in it. */
export interface HeldPlace extends OutputPlace, AsyncDisposable {
  release(): Promise<void>;
}

/**
 * Takes the lock of the place that `out` leads to, finishes or undoes what another process left
 * there half done, and removes what such processes were writing.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS, CHECKPOINT_OUTPUT_UNWRITABLE,
 * CHECKPOINT_OUTPUT_BUSY
 */
export async function holdPlace(out: string): Promise<HeldPlace> {
  const place = await findPlace(out);
  await createParent(place);
  const lock = await lockOutput(hiddenPath(place, 'lock'));
  try {
    await settle(place);
    await sweepLocks(place);
    const release = async (): Promise<void> => lock[Symbol.asyncDispose]();
    return { ...place, release, [Symbol.asyncDispose]: release };
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw fileError(error, out);
  }
}

/**
 * For who only reads: finishes or undoes a change of a folder, or of the one that a file is in,
 * which a killed process left half done.
 * Where a process that lives is about it, or there is nothing of the kind, does nothing.
 */
export async function settleOutput(path: string): Promise<void> {
  const isFile = await stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
  const place = await locatePlace(isFile ? dirname(path) : path);
  if (!(await isUnsettled(place))) return;
  await using lock = await lockOutput(hiddenPath(place, 'lock')).catch(nullIfBusy);
  if (lock) await settle(place);
}

function nullIfBusy(error: unknown): null {
  if ((error as { code?: unknown }).code === 'CHECKPOINT_OUTPUT_BUSY') return null;
  throw error;
}

/** Locks that were put aside by processes that were killed then. */
async function sweepLocks(place: OutputPlace): Promise<void> {
  const lock = hiddenPath(place, 'lock');
  const prefix = `${basename(lock)}.`;
  for (const name of await readdir(dirname(lock)))
    if (name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length)))
      await rm(join(dirname(lock), name), { force: true });
}
