import type { LoraAdapter } from '@emloc/checkpoint';
import { DeviceAdapter, type PagedModel } from '@emloc/finetune';
import { evaluateText, type Evaluation, type TextBatches } from '@emloc/tasks';

import type { JobEnvironment } from '../job/environment.js';
import type { StageName } from '../job/observer.js';

/** Scores adapters (null: none) in one pass over a paged model. */
export async function score(
  environment: JobEnvironment,
  inputs: {
    model: PagedModel;
    stage: StageName;
    adapters: readonly (LoraAdapter | null)[];
    batches: TextBatches;
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
    return await evaluateText({
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
