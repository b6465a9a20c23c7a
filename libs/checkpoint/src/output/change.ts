import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readRegularFile } from '@emloc/untrusted';

import { syncFolder, writeSynced } from '../atomic.js';
import { CheckpointError, errnoCode, fileError } from '../errors.js';
import { isPathList } from './owned.js';

/** Far more than the paths of any output take. */
const mostChangeBytes = 100_000_000;

/**
 * What a process notes before it puts a new output in the place of an old one, so that the next one
 * can finish or undo what it did not. Paths are relative to the output folder.
 */
export interface Change {
  /**
   * `exchange`: the new folder takes the place of the old one in one step; `files`: every new file
   * is moved into the folder.
   */
  readonly kind: 'exchange' | 'files';
  /** Name of the folder that holds the new files, and after an exchange the old ones. */
  readonly staged: string;
  readonly written: readonly string[];
  /** Files of the old output. */
  readonly owned: readonly string[];
  /** What is in the old folder beside them. */
  readonly foreign: readonly string[];
}

/** From here on the change is found by `readChange`, also after a crash. */
export async function writeChange(path: string, change: Change): Promise<void> {
  try {
    await rm(beginning(path), { force: true });
    await writeSynced(beginning(path), `${JSON.stringify(change)}\n`);
    await rename(beginning(path), path);
  } catch (error) {
    await rm(beginning(path), { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

export async function removeChange(path: string): Promise<void> {
  await rm(beginning(path), { force: true });
  await rm(path, { force: true });
}

/** A note that is not written to its end yet. */
function beginning(path: string): string {
  return `${path}.tmp`;
}

/**
 * null: no change was begun.
 * @throws CheckpointError CHECKPOINT_INVALID_FILE
 */
export async function readChange(path: string): Promise<Change | null> {
  const bytes = await readRegularFile(path, mostChangeBytes).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return null;
    throw fileError(error, path);
  });
  if (bytes === null) return null;
  const change = parse(bytes.toString('utf8'));
  if (!change)
    throw new CheckpointError(
      'CHECKPOINT_INVALID_FILE',
      `${path} does not tell which change of the output was begun; look at what is beside it, and remove it`,
    );
  return change;
}

function parse(text: string): Change | null {
  try {
    const change = JSON.parse(text) as Change;
    const { kind, staged, written, owned, foreign } = change;
    const isChange =
      (kind === 'exchange' || kind === 'files') &&
      typeof staged === 'string' &&
      /^\.[^/\\\0:]+$/.test(staged) &&
      staged !== '..' &&
      [written, owned, foreign].every(isPathList);
    return isChange ? change : null;
  } catch {
    return null;
  }
}
