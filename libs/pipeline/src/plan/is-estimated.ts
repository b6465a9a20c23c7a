import type { Job } from '../job/job.js';
import { meanBatchRows } from './mean-batch-rows.js';

/** Fewer steps than planning them would be worth. */
const leastSteps = 50;
/**
 * Floating-point operations of a job that takes some seconds of one core: of less, measuring the
 * device would be a large part.
 */
const leastFlops = 2 ** 38;

/**
 * Whether a job takes so long that it is worth measuring its device for some seconds, to say how
 * long. Its operations: six for each weight and token, of training alone.
 */
export function isEstimated(
  job: Pick<Job, 'model' | 'options' | 'trainRows' | 'training'>,
): boolean {
  const { model, trainRows, training } = job;
  const { linears } = model.layout;
  const steps = training.batches.length;
  const tokens = steps * meanBatchRows(job) * meanTokens(trainRows);
  const weights = linears.reduce((sum, linear) => sum + linear.inFeatures * linear.outFeatures, 0);
  return steps >= leastSteps && 6 * weights * tokens >= leastFlops;
}

/** Of an average text; of a picture, which is one item, with its prompt the most of any layout. */
export function meanTokens(rows: Job['trainRows']): number {
  const { layouts, items } = rows.shape([0]);
  const lengths = [...layouts.values()].map((offsets) => offsets.at(-1) ?? 0);
  return items === 1
    ? lengths.reduce((most, length) => Math.max(most, length), 0)
    : Math.round(rows.items / rows.count);
}
