import { realpath, statfs } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { formatBytes } from '@emloc/device';

import { CheckpointError, fileError } from '../errors.js';
import type { OutputPlace } from '../output/place.js';

/** @throws CheckpointError when the place is the model's folder or inside it. */
export async function assertOutsideModel(
  model: string,
  { out, folder }: OutputPlace,
): Promise<void> {
  const source = await realpath(model);
  if (folder === source || folder.startsWith(source.endsWith(sep) ? source : source + sep)) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_OPTION',
      `the output folder ${out} is the model's folder ${model} or inside it`,
    );
  }
}

/** @throws CheckpointError CHECKPOINT_DISK_FULL when `bytes` do not fit where `out` will be. */
export async function assertFreeDisk(out: string, bytes: number): Promise<void> {
  const existing = await existingAncestor(resolve(out));
  const { bavail, bsize } = await statfs(existing);
  const freeBytes = bavail * bsize;
  if (bytes > freeBytes)
    throw new CheckpointError(
      'CHECKPOINT_DISK_FULL',
      `${out} needs ${formatBytes(bytes)}, ${formatBytes(freeBytes)} of the disk is free`,
    );
}

async function existingAncestor(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (dirname(path) === path) throw fileError(error, path);
    return existingAncestor(dirname(path));
  }
}
