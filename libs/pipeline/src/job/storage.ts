import { quantizedLinears, type Model } from '@emloc/models';
import type { LayerSource } from '@emloc/weight-pager';

import type { TuneOptions } from '../options/resolve.js';
import type { EmulatedLinear } from './emulated-linear.js';

/** What decides how a model that is trained on is held. */
export interface HoldingJob {
  readonly model: Pick<Model, 'layout' | 'source'>;
  readonly options: Pick<TuneOptions, 'storage'>;
}

/**
 * A source of the job's model, or of an emulator of it, as training reads it: held as the job's
 * storage says.
 */
export function heldSource(
  { options: { storage }, model: { layout } }: HoldingJob,
  source: LayerSource,
): LayerSource {
  return storage === 'model' ? source : quantizedLinears(source, layout, storage);
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
  { length }: readonly EmulatedLinear[],
): boolean {
  return storage !== 'model' && length === 0;
}
