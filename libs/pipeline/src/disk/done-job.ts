import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { entriesOf, hiddenPath, recordFileName } from '@emloc/checkpoint';

import { PipelineError } from '../errors.js';
import type { PrepareHost } from '../job/job.js';
import { prepareJob } from '../job/prepare-job.js';
import { recordedText } from '../job/text-record.js';
import { isUndecided } from '../options/method.js';
import type { TuneOptions } from '../options/resolve.js';
import { undecidedBase } from '../plan/decide-method.js';
import { withChoice, type MethodChoice } from '../plan/method-choice.js';
import { findProgress } from './job-folder.js';
import { adapterFiles } from './output-folder.js';
import { holdOrSee, recordedJob } from './recorded-job.js';

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
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where there is no progress to go on with and the
 * adapter is another job's, does not tell whose it is, or is not whole
 */
export async function findDoneJob(
  options: TuneOptions,
  host: PrepareHost = {},
): Promise<DoneJob | null> {
  await using place = await holdOrSee(options.out);
  const { job: adapterOf, missing, choice } = await recordedJob(place);
  const holdsAdapter = (await entriesOf(place.folder)).some((name) => adapterFiles.has(name));
  if (adapterOf === null && !holdsAdapter) return null;
  const date = options.date ?? (await recordedText(place.folder))?.date ?? null;
  const progress = hiddenPath(place, 'job');
  const found = await findProgress(progress, 'resume');
  const decided = decidedBefore(options, [choice, found?.choice ?? null]);
  const job = await prepareJob({ ...decided, date }, host);
  await job.close();
  const isOwnProgress = found?.job === job.id;
  if (adapterOf === job.id && missing === null) {
    // The process was killed after it had written the adapter.
    if (isOwnProgress && place.isHeld) await rm(progress, { recursive: true, force: true });
    return { job: job.id, adapter: resolve(options.out), done: true };
  }
  if (isOwnProgress) return null;
  throw new PipelineError(
    'PIPELINE_RESUME_MISMATCH',
    `output ${options.out} has ${described(adapterOf, missing, job.id)}; this job is ${job.id}, of which there is no progress to go on with: model, data or options differ, or files of the output have changed`,
  );
}

/** The options as a plan has decided them, for an adapter or for progress beside it. */
function decidedBefore(
  options: TuneOptions,
  choices: readonly (MethodChoice | null)[],
): TuneOptions {
  if (!isUndecided(options)) return options;
  const choice = choices.find((known) => known?.asked === options.method);
  // Without one the adapter is another job's, whatever this one is.
  return choice ? withChoice(options, choice) : undecidedBase(options);
}

function described(adapterOf: string | null, missing: string | null, job: string): string {
  if (adapterOf === null) return `an adapter of which ${recordFileName} does not tell the job`;
  return adapterOf === job && missing !== null
    ? `the adapter of this job without ${missing}`
    : `the adapter of job ${adapterOf}`;
}
