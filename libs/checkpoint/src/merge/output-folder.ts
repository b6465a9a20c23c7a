import { realpath } from 'node:fs/promises';
import { dirname, sep } from 'node:path';
import { formatBytes } from '@emloc/device';

import { CheckpointError } from '../errors.js';
import { bytesOnDisk, diskSpaceAt } from '../output/disk-space.js';
import { holdPlace } from '../output/held-place.js';
import { recordFileName } from '../output/output-files.js';
import { assertReplaceable } from '../output/owned.js';
import { hiddenPath, type OutputPlace } from '../output/place.js';

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

/**
 * Looks before any work whether a merged checkpoint may be written to `out`.
 * @throws CheckpointError CHECKPOINT_OUTPUT_EXISTS, CHECKPOINT_OUTPUT_UNWRITABLE,
 * CHECKPOINT_OUTPUT_BUSY
 */
export async function assertMergePlace(
  out: string,
  { overwrite }: { readonly overwrite: boolean },
): Promise<void> {
  await using place = await holdPlace(out);
  // Which file tells a merged checkpoint depends on the model.
  const kind = { name: 'merged checkpoint', marks: [recordFileName] };
  await assertReplaceable(place, { overwrite, kind, written: [] });
}

/**
 * @param files bytes of each file that is to be written
 * @throws CheckpointError CHECKPOINT_DISK_FULL when they do not fit at the place
 */
export async function assertFreeDisk(place: OutputPlace, files: readonly number[]): Promise<void> {
  const disk = await diskSpaceAt(dirname(hiddenPath(place, 'new')));
  const bytes = bytesOnDisk(files, disk);
  if (bytes > disk.freeBytes)
    throw new CheckpointError(
      'CHECKPOINT_DISK_FULL',
      `${place.out} needs ${formatBytes(bytes)}, ${formatBytes(disk.freeBytes)} of the disk is free`,
    );
  if (files.length > disk.freeFiles)
    throw new CheckpointError(
      'CHECKPOINT_DISK_FULL',
      `${place.out} needs ${files.length} files, the disk has room for ${disk.freeFiles}`,
    );
}
