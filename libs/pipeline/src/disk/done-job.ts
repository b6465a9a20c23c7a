import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hiddenPath, recordFileName, type OutputPlace } from '@emloc/checkpoint';
import { readRegularFile } from '@emloc/untrusted';

import { PipelineError } from '../errors.js';
import type { PrepareHost } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { recordedText } from '../job/text-record.js';
import type { TuneOptions } from '../options/resolve.js';
import { findProgress } from './job-folder.js';
import { holdOutput } from './output-folder.js';

const maxRecordBytes = 2 ** 24;

/** A job whose adapter is where it was to be. */
export interface DoneJob {
  readonly job: string;
  /** The adapter's folder. */
  readonly adapter: string;
  readonly done: true;
}

/**
 * For who would go on with a job: tells that there is nothing left to do, since its adapter is
 * there; null where no adapter is, or progress of this job beside another one's.
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where the adapter is another job's and there is no
 * progress to go on with
 */
export async function findDoneJob(
  options: TuneOptions,
  host: PrepareHost = {},
): Promise<DoneJob | null> {
  await using place = await holdOutput(options.out);
  const adapterOf = await recordedJob(place);
  if (adapterOf === null) return null;
  const date = options.date ?? (await recordedText(place.folder))?.date ?? null;
  const job = await prepareJob({ ...options, date }, host);
  await job.close();
  const progress = hiddenPath(place, 'job');
  const isOwnProgress = (await findProgress(progress, 'resume'))?.job === job.id;
  if (adapterOf !== job.id) {
    if (isOwnProgress) return null;
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `output ${options.out} has the adapter of job ${adapterOf}, this one is ${job.id}, of which there is no progress to go on with: model, data or options differ`,
    );
  }
  // The process was killed after it had written the adapter.
  if (isOwnProgress) await rm(progress, { recursive: true, force: true });
  return { job: job.id, adapter: resolve(options.out), done: true };
}

/** The job that an adapter's record names; null where there is none. */
async function recordedJob({ folder }: OutputPlace): Promise<string | null> {
  try {
    const bytes = await readRegularFile(join(folder, recordFileName), maxRecordBytes);
    const { job } = JSON.parse(bytes.toString('utf8')) as { job?: unknown };
    return typeof job === 'string' ? job : null;
  } catch {
    return null;
  }
}
