import { dirname } from 'node:path';
import { lockFile, LockHeldError } from '@emloc/time';

import { CheckpointError, errnoCode, fileError } from '../errors.js';

/**
 * Takes the lock file `path` of an output, whose folder must exist. Held until it is disposed.
 * @throws CheckpointError CHECKPOINT_OUTPUT_BUSY while another process holds it,
 * CHECKPOINT_OUTPUT_UNWRITABLE, also where something else than a file has its name
 */
export async function lockOutput(path: string): Promise<AsyncDisposable> {
  try {
    return await lockFile(path);
  } catch (error) {
    if (error instanceof LockHeldError)
      throw new CheckpointError(
        'CHECKPOINT_OUTPUT_BUSY',
        `${error.who} writes to this output (lock ${path})`,
        { cause: error },
      );
    throw unwritable(error, path);
  }
}

/** Where permissions say nothing of it, as in file systems of the kernel. */
function unwritable(error: unknown, path: string): unknown {
  const code = errnoCode(error) ?? '';
  if (!['EACCES', 'EINVAL', 'ENOENT', 'ENOTSUP', 'EPERM', 'EROFS'].includes(code))
    return fileError(error, path, 'CHECKPOINT_OUTPUT_UNWRITABLE');
  return new CheckpointError(
    'CHECKPOINT_OUTPUT_UNWRITABLE',
    `${path}: nothing can be written in ${dirname(path)} (${code})`,
    { cause: error },
  );
}
