import { dirname } from 'node:path';
import {
  bytesOnDisk,
  changeFiles,
  diskSpaceAt,
  hiddenPath,
  storedIn,
  type OutputPlace,
} from '@emloc/checkpoint';
import { formatBytes } from '@emloc/device';

import { PipelineError } from '../errors.js';
import type { Job } from '../job/job.js';
import { jobFiles, type JobDiskUse } from './job-files.js';
import { outputPaths } from './output-folder.js';

/**
 * That a job's progress and output have room where they will be; what an interrupted run has left
 * there is room already.
 * @throws PipelineError PIPELINE_DISK_FULL
 */
export async function assertDiskSpace(
  job: Job,
  place: OutputPlace,
  use: JobDiskUse,
): Promise<void> {
  const made = job.task.keptFiles(job, use.profile.computeDType);
  const imageBytes = made.reduce((sum, bytes) => sum + bytes, 0);
  const { imageCacheBytes } = job.options;
  if (imageBytes > imageCacheBytes)
    throw full(
      `what is made of images takes ${formatBytes(imageBytes)}, option imageCacheBytes allows ${formatBytes(imageCacheBytes)}`,
    );
  const folder = dirname(hiddenPath(place, 'job'));
  const disk = await diskSpaceAt(folder);
  const replacing = await changeFiles(place, outputPaths);
  const moments = jobFiles(job, use).map((files) => [...files, ...replacing]);
  const stored = await storedIn(hiddenPath(place, 'job'));
  const neededBytes =
    most(moments.map((files) => bytesOnDisk(files, disk))) - kept(stored.bytes, moments);
  if (neededBytes > disk.freeBytes)
    throw full(
      `${folder} has ${formatBytes(disk.freeBytes)} free, factors, adapters${imageBytes > 0 ? ' and what is made of images' : ''} need ${formatBytes(neededBytes)}`,
    );
  const files = most(moments.map(({ length }) => length)) - stored.files;
  if (files > disk.freeFiles)
    throw full(`${folder} has room for ${disk.freeFiles} files, the job needs ${files}`);
}

/** A file that turns out to be damaged is written anew beside itself. */
function kept(storedBytes: number, moments: readonly (readonly number[])[]): number {
  return storedBytes === 0 ? 0 : Math.max(0, storedBytes - most(moments.flat()));
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), 0);
}

function full(message: string): PipelineError {
  return new PipelineError('PIPELINE_DISK_FULL', message);
}
