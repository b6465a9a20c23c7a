import { JobStorageError } from '@emloc/job-storage';
import type { TensorRecord } from '@emloc/pipeline';

import { blockKey } from './layer-sharing.js';
import type { StageAttempt } from './stage-attempt.js';

/**
 * Reads the factors of a job's blocks, wherever the builders have stored them.
 * @returns throws JobStorageError LAYER_MISSING for a block that has none
 */
export function blockFactors({
  job,
  instance,
  storage,
  records,
}: StageAttempt): (block: number) => Promise<TensorRecord> {
  const states = storage.openLayers(job, instance).then((queue) => queue.states());
  states.catch(() => undefined);
  return async (block) => {
    const state = (await states).get(blockKey(block));
    if (state?.state !== 'done')
      throw new JobStorageError(
        'LAYER_MISSING',
        `job ${job}: there are no factors of block ${block}`,
      );
    return records.read('factors', state.result.factors);
  };
}
