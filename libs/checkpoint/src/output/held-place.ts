import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { lockOutput } from './lock.js';
import { createParent, findPlace, hiddenPath, locatePlace, type OutputPlace } from './place.js';
import { isUnsettled, settle } from './settle.js';

/** A place whose lock this process holds, with nothing half done in it. */
export interface HeldPlace extends OutputPlace {
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
  const release = await lockOutput(hiddenPath(place, 'lock'));
  try {
    await settle(place);
    await sweepLocks(place);
    return { ...place, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * For who only reads: finishes or undoes a change of a folder that a killed process left half done.
 * Where a process that lives is about it, or there is nothing of the kind, does nothing.
 */
export async function settleOutput(path: string): Promise<void> {
  const place = await locatePlace(path);
  if (!(await isUnsettled(place))) return;
  let release;
  try {
    release = await lockOutput(hiddenPath(place, 'lock'));
  } catch (error) {
    if ((error as { code?: unknown }).code === 'CHECKPOINT_OUTPUT_BUSY') return;
    throw error;
  }
  try {
    await settle(place);
  } finally {
    await release();
  }
}

/** Locks that were put aside by processes that were killed then. */
async function sweepLocks(place: OutputPlace): Promise<void> {
  const lock = hiddenPath(place, 'lock');
  const prefix = `${basename(lock)}.`;
  for (const name of await readdir(dirname(lock)))
    if (name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length)))
      await rm(join(dirname(lock), name), { force: true });
}
