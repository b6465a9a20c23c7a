import { at } from '@emloc/checked';
import { factorNames, weightPlace } from '@emloc/models';
import { quantizedSource, type LayerSource } from '@emloc/weight-pager';

import type { Job } from './job.js';

/** What decides how a model that is trained on is held. */
export type HoldingJob = Pick<Job, 'model'> & {
  readonly options: Pick<Job['options'], 'storage'>;
};

/**
 * A source of the job's model, or of an emulator of it, as training reads it: with the weights of
 * linears that can be trained, and factors in their place, held as the job's storage says.
 * Embedding, head, biases and norms are what they are.
 */
export function heldSource(
  { options: { storage }, model: { layout } }: HoldingJob,
  source: LayerSource,
): LayerSource {
  if (storage === 'model') return source;
  const names = layout.pages.map(() => new Set<string>());
  for (const linear of layout.linears) {
    const { page, tensor } = weightPlace(layout, linear);
    const { u, v } = factorNames(linear.name);
    for (const name of [tensor, u, v]) at(names, page).add(name);
  }
  return quantizedSource(source, {
    format: storage,
    includes: (page, { name }) => at(names, page).has(name),
  });
}

/** The original as training reads it. */
export function trainedOriginal(job: HoldingJob): LayerSource {
  return heldSource(job, job.model.source);
}

/**
 * Whether what a stage trains on is the original, but held in other numbers: losses that count are
 * of the original's own.
 *
 * @param emulated the linears that are factors there
 */
export function isHeldOriginal(
  { options: { storage } }: HoldingJob,
  { length }: Job['emulated'],
): boolean {
  return storage !== 'model' && length === 0;
}
