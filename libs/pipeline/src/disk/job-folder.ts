import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { logFileName, writeFileAtomic } from '@emloc/checkpoint';
import type { DeviceProfile } from '@emloc/device';
import { readRegularFile } from '@emloc/untrusted';

import { PipelineError } from '../errors.js';
import { HashLog, readHashLog } from '../inputs/hash-log.js';
import { compareInputFiles, isInputFiles, type InputFile } from '../inputs/input-files.js';
import type { FactorStore } from '../job/factor-store.js';
import type { Job } from '../job/job.js';
import type { OutcomeStore } from '../job/outcome-store.js';
import { outcomeFromRecord, outcomeToRecord, type StageOutcome } from '../job/stage-outcomes.js';
import type { TrainingStore } from '../job/training-store.js';
import { isMethodChoice, type MethodChoice } from '../plan/method-choice.js';
import { DiskFactorStore } from './factor-store.js';
import { LogFile } from './log-file.js';
import type { Provenance } from './outcome.js';
import { readTensorFile, writeTensorFile } from './tensor-file.js';
import { DiskTrainingStore, intactOrNull } from './training-store.js';

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
  /** The files that the job was begun with. */
  readonly inputs: readonly InputFile[];
  /** What a plan has decided of the job, which holds; null: nothing was left to decide. */
  readonly choice: MethodChoice | null;
}

/** The folder that a job keeps its progress in. */
export interface JobFolder extends AsyncDisposable {
  readonly factors: FactorStore;
  readonly training: TrainingStore;
  readonly outcomes: OutcomeStore;
  /** Of the model's tensors as they were read. */
  readonly hashes: HashLog;
  readonly log: LogFile;
  close(): Promise<void>;
}

export interface JobFolderOptions {
  readonly path: string;
  readonly job: Job;
  readonly profile: DeviceProfile;
  readonly provenance: Provenance;
  readonly inputs: readonly InputFile[];
  readonly choice: MethodChoice | null;
  readonly checkpointSteps: number;
}

const identityFile = 'job.json';
/** Far more than the names of hundreds of thousands of files take. */
const mostIdentityBytes = 100_000_000;
const hashFile = 'tensors.jsonl';

/**
 * Whose usable progress a folder has; null: there is none.
 * @throws PipelineError PIPELINE_RESUME_NEEDED where there is some and `mode` says nothing of it,
 * PIPELINE_RESUME_MISMATCH where a pipe or a device is among its files
 */
export async function findProgress(path: string, mode: StartMode): Promise<JobIdentity | null> {
  if (mode === 'restart' || !(await hasProgress(path))) return null;
  await assertPlainFiles(path);
  const identity = await readIdentity(path);
  if (identity && mode === 'start') {
    throw new PipelineError(
      'PIPELINE_RESUME_NEEDED',
      `the interrupted job ${identity.job} has left its progress in ${path}: resume it, or restart to throw it away`,
    );
  }
  return identity;
}

/** To open a pipe may be to wait for ever: none is opened. */
async function assertPlainFiles(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const facts = await stat(join(folder, name)).catch(() => null);
    if (facts === null || facts.isFile() || facts.isDirectory()) continue;
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `${join(folder, name)} is a pipe, a socket or a device, which no job has left: remove it, or restart`,
    );
  }
}

/**
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where progress is another job's, or of a device or
 * program that may compute other bytes
 */
export function assertSameJob(
  found: JobIdentity,
  { job, device, program }: Omit<JobIdentity, 'inputs' | 'choice'>,
): void {
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

/**
 * @returns the files whose contents are to be looked at: they are of the same size, and other
 * copies or changed in place
 * @throws PipelineError PIPELINE_RESUME_MISMATCH where a file is certainly another
 */
export function assertSameFiles(
  found: Pick<JobIdentity, 'inputs'>,
  inputs: readonly InputFile[],
): ReadonlySet<string> {
  const { changed, doubtful } = compareInputFiles(found.inputs, inputs);
  if (changed !== null) {
    throw new PipelineError(
      'PIPELINE_RESUME_MISMATCH',
      `the progress beside the output was made from other files: ${changed}`,
    );
  }
  return new Set(doubtful);
}

/** Opens a folder to go on with what is in it (`isResumed`) or to begin with nothing. */
export async function openJobFolder(
  options: JobFolderOptions,
  isResumed: boolean,
): Promise<JobFolder> {
  const { path, job, profile, provenance, inputs, choice, checkpointSteps } = options;
  if (!isResumed) await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  for (const name of await readdir(path))
    if (name.endsWith('.tmp')) await rm(join(path, name), { force: true });
  const { program, device } = provenance;
  await writeFileAtomic(
    join(path, identityFile),
    `${JSON.stringify({ job: job.id, date: job.options.date, program, device, inputs, choice } satisfies JobIdentity, null, 2)}\n`,
  );
  const factors = new DiskFactorStore(path, { emulated: job.emulated, profile });
  const hashes = await HashLog.open(join(path, hashFile));
  const log = new LogFile(join(path, logFileName));
  const states = new DiskTrainingStore(path, checkpointSteps);
  // A state never counts more steps than the log has.
  const training: TrainingStore = {
    everySteps: states.everySteps,
    load: (stage) => states.load(stage),
    save: async (stage, progress) => {
      log.sync();
      await states.save(stage, progress);
    },
  };
  const close = async (): Promise<void> => {
    log[Symbol.dispose]();
    await factors.close();
    await hashes.close();
  };
  return {
    factors,
    training,
    outcomes: diskOutcomes(path),
    hashes,
    log,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Hashes of the model's tensors as earlier runs have read them. */
export function knownHashes(path: string): Promise<ReadonlyMap<string, string>> {
  return readHashLog(join(path, hashFile));
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
      intactOrNull(pathOf(stage), async () =>
        outcomeFromRecord(stage, await readTensorFile(pathOf(stage))),
      ),
    save: (stage, outcome) => writeTensorFile(pathOf(stage), outcomeToRecord(outcome)),
  };
}

async function readIdentity(path: string): Promise<JobIdentity | null> {
  try {
    const bytes = await readRegularFile(join(path, identityFile), mostIdentityBytes);
    const { job, date, program, device, inputs, choice } = JSON.parse(
      bytes.toString('utf8'),
    ) as Record<string, unknown>;
    const isIdentity =
      typeof job === 'string' &&
      typeof date === 'string' &&
      typeof program === 'string' &&
      typeof device === 'string';
    if (!isIdentity || !isInputFiles(inputs)) return null;
    return { job, date, program, device, inputs, choice: isMethodChoice(choice) ? choice : null };
  } catch {
    return null;
  }
}
