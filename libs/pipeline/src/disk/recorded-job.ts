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

/** The job that an adapter's record names, and a file that it lists and that is not there. */
export async function recordedJob({
  folder,
}: OutputPlace): Promise<{ readonly job: string | null; readonly missing: string | null }> {
  try {
    const bytes = await readRegularFile(join(folder, recordFileName), maxRecordBytes);
    const { job } = JSON.parse(bytes.toString('utf8')) as { job?: unknown };
    if (typeof job !== 'string') return { job: null, missing: null };
    const owned = ((await ownedFiles(folder)) ?? []).filter((path) => adapterFiles.has(path));
    for (const path of owned) if (!(await isFileBelow(folder, path))) return { job, missing: path };
    return { job, missing: null };
  } catch {
    return { job: null, missing: null };
  }
}
