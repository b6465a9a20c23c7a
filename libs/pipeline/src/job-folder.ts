import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@emloc/checkpoint';
import type { DeviceProfile } from '@emloc/device';

import { DiskFactorStore } from './disk-factor-store.js';
import { DiskTrainingStore, intactOrNull } from './disk-training-store.js';
import { PipelineError } from './errors.js';
import type { FactorStore } from './factor-store.js';
import type { Job } from './job.js';
import type { OutcomeStore } from './outcome-store.js';
import type { Provenance } from './outcome.js';
import { outcomeFromRecord, outcomeToRecord, type StageOutcome } from './stage-outcomes.js';
import { readTensorFile, writeTensorFile } from './tensor-file.js';
import type { TrainingStore } from './training-store.js';

/**
 * What happens to the progress of an interrupted job: it is in the way, is gone on with, or is
 * thrown away.
 */
export type StartMode = 'start' | 'resume' | 'restart';

/** Whose progress a folder has. */
export interface JobIdentity extends Provenance {
  readonly job: string;
  /** The job's `date`, which is kept where it is gone on with on another day. */
  readonly date: string;
}

/** The folder that a job keeps its progress in. */
export interface JobFolder {
  readonly factors: FactorStore;
  readonly training: TrainingStore;
  readonly outcomes: OutcomeStore;
}

export interface JobFolderOptions {
  readonly path: string;
  readonly job: Job;
  readonly profile: DeviceProfile;
  readonly provenance: Provenance;
  readonly checkpointSteps: number;
}

const identityFile = 'job.json';

/**
 * Whose usable progress a folder has; null: there is none.
 * @throws PipelineError PIPELINE_RESUME_NEEDED where there is some and `mode` says nothing about it
 */
export async function findProgress(path: string, mode: StartMode): Promise<JobIdentity | null> {
  const identity =
    mode === 'restart' || !(await hasProgress(path)) ? null : await readIdentity(path);
  if (identity && mode === 'start') {
    throw new PipelineError(
      'PIPELINE_RESUME_NEEDED',
      `the interrupted job ${identity.job} has left its progress in ${path}: resume it, or restart to throw it away`,
    );
  }
  return identity;
}

/**
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where progress is another job's, or of a device or
 * program that may compute other bytes
 */
export function assertSameJob(found: JobIdentity, { job, device, program }: JobIdentity): void {
  if (found.job !== job) {
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `the progress beside the output is that of job ${found.job}, this one is ${job}: model, data or options differ`,
    );
  }
  if (found.device !== device) {
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `the progress beside the output was made on "${found.device}", this device is "${device}"`,
    );
  }
  if (found.program !== program) {
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `the progress beside the output was made by ${found.program}, this program is ${program}`,
    );
  }
}

/** Opens a folder to go on with what is in it (`isResumed`) or to begin with nothing. */
export async function openJobFolder(
  options: JobFolderOptions,
  isResumed: boolean,
): Promise<JobFolder> {
  const { path, job, profile, provenance, checkpointSteps } = options;
  if (!isResumed) await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  for (const name of await readdir(path))
    if (name.endsWith('.tmp')) await rm(join(path, name), { force: true });
  const { program, device } = provenance;
  await writeFileAtomic(
    join(path, identityFile),
    `${JSON.stringify({ job: job.id, date: job.options.date, program, device } satisfies JobIdentity, null, 2)}\n`,
  );
  return {
    factors: new DiskFactorStore(path, { emulated: job.emulated, profile }),
    training: new DiskTrainingStore(path, checkpointSteps),
    outcomes: diskOutcomes(path),
  };
}

/**
 * Whether a folder has more than the name of a job: a block of factors, a state of training or an
 * outcome.
 */
export async function hasProgress(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => [] as string[]);
  return names.some((name) => name.endsWith('.safetensors'));
}

function diskOutcomes(folder: string): OutcomeStore {
  const pathOf = (stage: keyof StageOutcome): string => join(folder, `${stage}.safetensors`);
  return {
    load: (stage) =>
      intactOrNull(async () => outcomeFromRecord(stage, await readTensorFile(pathOf(stage)))),
    save: (stage, outcome) => writeTensorFile(pathOf(stage), outcomeToRecord(outcome)),
  };
}

async function readIdentity(path: string): Promise<JobIdentity | null> {
  try {
    const { job, date, program, device } = JSON.parse(
      await readFile(join(path, identityFile), 'utf8'),
    ) as Record<string, unknown>;
    return typeof job === 'string' &&
      typeof date === 'string' &&
      typeof program === 'string' &&
      typeof device === 'string'
      ? { job, date, program, device }
      : null;
  } catch {
    return null;
  }
}
