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
import { storedStates } from './training-store.js';

/**
 * That a job's progress and output have room where they will be. What an interrupted run has left
 * there is room already: it is gone on with, or thrown away.
 * @throws PipelineError PIPELINE_DISK_FULL
 */
export async function assertDiskSpace(
  job: Job,
  place: OutputPlace,
  use: Omit<JobDiskUse, 'storedStates'> & { readonly isResumed: boolean },
): Promise<void> {
  const imageBytes = assertImageCache(job, use);
  const progress = hiddenPath(place, 'job');
  const disk = await diskSpaceAt(dirname(progress));
  const stored = await storedIn(progress);
  const states = use.isResumed ? await storedStates(progress) : 0;
  const replacing = await changeFiles(place, outputPaths);
  const moments = jobFiles(job, { ...use, storedStates: states });
  const bytes = moments.map((files) => bytesOnDisk([...files, ...replacing], disk));
  const neededBytes = most(bytes) - stored.bytes;
  if (neededBytes > disk.freeBytes)
    throw full(
      `${dirname(progress)} has ${formatBytes(disk.freeBytes)} free, factors, adapters${imageBytes > 0 ? ' and what is made of images' : ''} need ${formatBytes(neededBytes)}`,
    );
  const files = most(moments.map(({ length }) => length)) + replacing.length - stored.files;
  if (files > disk.freeFiles)
    throw full(`${dirname(progress)} has room for ${disk.freeFiles} files, the job needs ${files}`);
}

/** Bytes of what is made of images, which an option may limit. */
function assertImageCache(job: Job, { profile }: Pick<JobDiskUse, 'profile'>): number {
  const made = job.task.keptFiles(job, profile.computeDType);
  const imageBytes = made.reduce((sum, bytes) => sum + bytes, 0);
  const { imageCacheBytes } = job.options;
  if (imageBytes <= imageCacheBytes) return imageBytes;
  throw full(
    `what is made of images takes ${formatBytes(imageBytes)}, option imageCacheBytes allows ${formatBytes(imageCacheBytes)}`,
  );
}

function most(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), 0);
}

function full(message: string): PipelineError {
  return new PipelineError('PIPELINE_DISK_FULL', message);
}
