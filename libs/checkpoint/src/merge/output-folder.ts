import { realpath, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { formatBytes } from '@emloc/device';

import { vacantFolder } from '../atomic.js';
import { CheckpointError, errnoCode, fileError } from '../errors.js';

/** @throws CheckpointError when `out` is in use, or is the model's folder or inside it. */
export async function assertOutputFolder(model: string, out: string): Promise<void> {
  const source = await realpath(model);
  const target = await realTarget(out);
  if (target === source || target.startsWith(source.endsWith(sep) ? source : source + sep)) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_OPTION',
      `the output folder ${out} is the model's folder ${model} or inside it`,
    );
  }
  await vacantFolder(out);
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

async function realTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const absolute = resolve(path);
    if (errnoCode(error) !== 'ENOENT' || dirname(absolute) === absolute)
      throw fileError(error, path);
    return join(await realTarget(dirname(absolute)), basename(absolute));
  }
}

async function existingAncestor(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (dirname(path) === path) throw fileError(error, path);
    return existingAncestor(dirname(path));
  }
}
