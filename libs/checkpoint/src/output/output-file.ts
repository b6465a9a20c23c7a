import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { CheckpointError, errnoCode, fileError } from '../errors.js';
import { followLinks } from './place.js';

/**
 * Where a command writes its one file, decided before any work: `out` with links followed, so that
 * a link stays one. Changes nothing.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS where a folder, a pipe or a device is in the
 * way, CHECKPOINT_OUTPUT_UNWRITABLE
 */
export async function findOutputFile(out: string): Promise<string> {
  const path = await followLinks(out);
  const there = await factsOf(path, out);
  if (there && !there.isFile())
    throw new CheckpointError(
      'CHECKPOINT_OUTPUT_EXISTS',
      `${out}: is a ${there.isDirectory() ? 'folder' : 'pipe, a socket or a device'}, not a file`,
    );
  const folder = dirname(path);
  if (!(await factsOf(folder, out))?.isDirectory())
    throw new CheckpointError('CHECKPOINT_OUTPUT_UNWRITABLE', `${out}: ${folder} is no folder`);
  await access(folder, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw new CheckpointError(
      'CHECKPOINT_OUTPUT_UNWRITABLE',
      `${out}: nothing can be written in ${folder} (${errnoCode(cause)})`,
      { cause },
    );
  });
  return path;
}

/** null: nothing is there. */
async function factsOf(path: string, out: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) return null;
    throw fileError(error, out);
  }
}
