import type { LoraAdapter } from '@emloc/checkpoint';
import type { PackedBatch } from '@emloc/dataset';
import { DeviceAdapter, evaluate, type Evaluation, type PagedModel } from '@emloc/finetune';

import type { JobEnvironment } from '../job/environment.js';
import type { StageName } from '../job/observer.js';

/** Scores adapters (null: none) in one pass over a paged model. */
export async function score(
  environment: JobEnvironment,
  inputs: {
    model: PagedModel;
    stage: StageName;
    adapters: readonly (LoraAdapter | null)[];
    batches: readonly PackedBatch[];
    task: string;
  },
): Promise<readonly Evaluation[]> {
  const { model, stage, task } = inputs;
  const variants: (DeviceAdapter | null)[] = [];
  try {
    for (const adapter of inputs.adapters) {
      variants.push(
        adapter && DeviceAdapter.load(model.device, model.layout, adapter, { trainable: false }),
      );
    }
    return await evaluate({
      model,
      batches: inputs.batches,
      variants,
      signal: environment.signal,
      onProgress: (done, total) =>
        environment.observer({ type: 'progress', stage, task, done, total }),
    });
  } finally {
    for (const variant of variants) variant?.dispose();
  }
}
