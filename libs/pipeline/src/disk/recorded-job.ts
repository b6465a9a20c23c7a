import { join } from 'node:path';
import {
  hiddenPath,
  isFileBelow,
  locatePlace,
  ownedFiles,
  recordFileName,
  type OutputPlace,
} from '@emloc/checkpoint';
import { readRegularFile } from '@emloc/untrusted';

import { PipelineError } from '../errors.js';
import { isMethodChoice, type MethodChoice } from '../plan/method-choice.js';
import { findProgress, type StartMode } from './job-folder.js';
import { adapterFiles, assertFree, holdOutput } from './output-folder.js';

/**
 * Looks before any work whether an adapter may be written to `out`. An adapter that is there is
 * none of its business where a job is gone on with: it may be that job's.
 * @throws PipelineError PIPELINE_OUTPUT_EXISTS, PIPELINE_OUTPUT_UNWRITABLE, PIPELINE_OUTPUT_BUSY,
 * PIPELINE_DISK_FULL, PIPELINE_RESUME_NEEDED
 */
export async function assertOutputFree(
  out: string,
  { mode, overwrite }: { readonly mode: StartMode; readonly overwrite: boolean },
): Promise<void> {
  const mayBeDone = mode === 'resume' && !overwrite;
  await using place = await (mayBeDone ? holdOrSee(out) : holdOutput(out));
  if (!mayBeDone) await assertFree(place, overwrite);
  await findProgress(hiddenPath(place, 'job'), mode);
}

const maxRecordBytes = 2 ** 24;

/** A place that may be written, or one with an adapter that can only be looked at. */
type SeenPlace = OutputPlace & AsyncDisposable & { readonly isHeld: boolean };

/**
 * As `holdOutput`; where nothing can be written any more, but an adapter tells its job, the place
 * without its lock.
 * @throws PipelineError as `holdOutput`
 */
export async function holdOrSee(out: string): Promise<SeenPlace> {
  try {
    return Object.assign(await holdOutput(out), { isHeld: true });
  } catch (error) {
    const place = await seenPlace(out, error);
    if (place === null) throw error;
    return { ...place, isHeld: false, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}

async function seenPlace(out: string, error: unknown): Promise<OutputPlace | null> {
  const isOfDisk =
    error instanceof PipelineError &&
    (error.code === 'PIPELINE_OUTPUT_UNWRITABLE' || error.code === 'PIPELINE_DISK_FULL');
  if (!isOfDisk) return null;
  const place = await locatePlace(out);
  return (await recordedJob(place)).job === null ? null : place;
}

/** What an adapter's record says. */
interface RecordedJob {
  /** The job that it names; null: none. */
  readonly job: string | null;
  /** A file that it lists and that is not there. */
  readonly missing: string | null;
  /** What a plan had decided of the job. */
  readonly choice: MethodChoice | null;
}

const nothing: RecordedJob = Object.freeze({ job: null, missing: null, choice: null });

export async function recordedJob({ folder }: OutputPlace): Promise<RecordedJob> {
  try {
    const bytes = await readRegularFile(join(folder, recordFileName), maxRecordBytes);
    const record = JSON.parse(bytes.toString('utf8')) as { job?: unknown; choice?: unknown };
    const { job } = record;
    if (typeof job !== 'string') return nothing;
    const choice = isMethodChoice(record.choice) ? record.choice : null;
    const owned = ((await ownedFiles(folder)) ?? []).filter((path) => adapterFiles.has(path));
    for (const path of owned)
      if (!(await isFileBelow(folder, path))) return { job, missing: path, choice };
    return { job, missing: null, choice };
  } catch {
    return nothing;
  }
}
