import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { firstError } from '@emloc/checked';
import { CheckpointError } from '@emloc/checkpoint';

import { PipelineError } from '../errors.js';
import type { StageProgress, TrainingStore } from '../job/training-store.js';
import { stageProgressFromRecord, stageProgressToRecord } from '../records/training-state.js';
import { readTensorFile, writeTensorFile } from './tensor-file.js';

type TrainingStage = 'train' | 'refine';

/** A damaged state gives way to the one before it, so one more than the newest is kept. */
export const keptStates = 2;

const statePattern = /^(\w+)-\d{9}\.safetensors$/;

/** How many states a folder has, of all stages; 0 where it is not there. */
export async function storedStates(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [] as string[]);
  return names.filter((name) => statePattern.test(name)).length;
}

/**
 * States of training as files in a folder, which must exist; each is written whole or not at all.
 */
export class DiskTrainingStore implements TrainingStore {
  constructor(
    private readonly folder: string,
    readonly everySteps: number,
  ) {}

  /** The newest state that can be read. */
  async load(stage: TrainingStage): Promise<StageProgress | null> {
    for (const name of await this.#states(stage)) {
      const path = join(this.folder, name);
      const progress = await intactOrNull(path, async () =>
        stageProgressFromRecord(await readTensorFile(path)),
      );
      if (progress) return progress;
    }
    return null;
  }

  async save(stage: TrainingStage, progress: StageProgress): Promise<void> {
    await writeTensorFile(
      join(this.folder, `${stage}-${String(progress.state.step).padStart(9, '0')}.safetensors`),
      stageProgressToRecord(progress),
    );
    for (const name of (await this.#states(stage)).slice(keptStates))
      await rm(join(this.folder, name), { force: true });
  }

  /** Newest first. */
  async #states(stage: TrainingStage): Promise<readonly string[]> {
    return (await readdir(this.folder))
      .filter((name) => statePattern.exec(name)?.[1] === stage)
      .sort()
      .reverse();
  }
}

/**
 * What was stored in a file, or null where it is damaged or missing; then it is removed, so that
 * what is stored in its place takes no more of the disk.
 */
export async function intactOrNull<T>(path: string, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (thrown) {
    const error = firstError(thrown);
    if (!(error instanceof CheckpointError || error instanceof PipelineError)) throw error;
    await rm(path, { force: true });
    return null;
  }
}
