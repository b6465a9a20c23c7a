import type { LoraAdapter } from '@emloc/checkpoint';
import { DeviceAdapter, FinetuneError, type PagedModel } from '@emloc/finetune';
import type { Score, TaskBatches } from '@emloc/tasks';

import type { JobEnvironment } from '../job/environment.js';
import type { StageName } from '../job/observer.js';

/**
 * Scores adapters (null: none) in one pass over a paged model. Those on the device stay there.
 * @throws FinetuneError FINETUNE_NON_FINITE where the loss of no adapter is not finite
 */
export async function score(
  environment: JobEnvironment,
  inputs: {
    model: PagedModel;
    stage: StageName;
    adapters: readonly (LoraAdapter | DeviceAdapter | null)[];
    batches: TaskBatches;
    task: string;
  },
): Promise<readonly Score[]> {
  const { model, stage, task } = inputs;
  using variants = new Variants();
  for (const adapter of inputs.adapters) variants.load(model, adapter);
  const { source, rows } = inputs.batches;
  const scores = await source.evaluate(rows, {
    model,
    variants: variants.loaded,
    nonFinite: 'tell',
    signal: environment.signal,
    onProgress: (done, total) =>
      environment.observer({ type: 'progress', stage, task, done, total }),
  });
  for (const [index, { loss }] of scores.entries())
    if (inputs.adapters[index] === null && !Number.isFinite(loss))
      throw new FinetuneError('FINETUNE_NON_FINITE', `evaluation without an adapter: loss ${loss}`);
  return scores;
}

/** Adapters on the device. */
class Variants implements Disposable {
  readonly loaded: (DeviceAdapter | null)[] = [];

  readonly #own: DeviceAdapter[] = [];

  load({ device, layout }: PagedModel, adapter: LoraAdapter | DeviceAdapter | null): void {
    if (adapter === null || adapter instanceof DeviceAdapter) {
      this.loaded.push(adapter);
      return;
    }
    const variant = DeviceAdapter.load(device, layout, adapter, { trainable: false });
    this.#own.push(variant);
    this.loaded.push(variant);
  }

  [Symbol.dispose](): void {
    for (const variant of this.#own) variant.dispose();
  }
}
