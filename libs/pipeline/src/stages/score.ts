import type { LoraAdapter } from '@emloc/checkpoint';
import { DeviceAdapter, type PagedModel } from '@emloc/finetune';
import type { Score, TaskBatches } from '@emloc/tasks';

import type { JobEnvironment } from '../job/environment.js';
import type { StageName } from '../job/observer.js';

/** Scores adapters (null: none) in one pass over a paged model. */
export async function score(
  environment: JobEnvironment,
  inputs: {
    model: PagedModel;
    stage: StageName;
    adapters: readonly (LoraAdapter | null)[];
    batches: TaskBatches;
    task: string;
  },
): Promise<readonly Score[]> {
  const { model, stage, task } = inputs;
  using variants = new Variants();
  for (const adapter of inputs.adapters) variants.load(model, adapter);
  const { source, rows } = inputs.batches;
  return await source.evaluate(rows, {
    model,
    variants: variants.loaded,
    signal: environment.signal,
    onProgress: (done, total) =>
      environment.observer({ type: 'progress', stage, task, done, total }),
  });
}

/** Adapters on the device. */
class Variants implements Disposable {
  readonly loaded: (DeviceAdapter | null)[] = [];

  load({ device, layout }: PagedModel, adapter: LoraAdapter | null): void {
    this.loaded.push(adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false }));
  }

  [Symbol.dispose](): void {
    for (const variant of this.loaded) variant?.dispose();
  }
}
