import { coveringBatches } from '@emloc/finetune';

import type { Job } from '../job/job.js';

/** Rows of an average micro-batch of training, 1 at least. */
export function meanBatchRows({ options, training }: Pick<Job, 'options' | 'training'>): number {
  if (options.batchTokens === null) return options.batch;
  let [rows, batches] = [0, 0];
  for (const batch of coveringBatches(training.batches)) {
    rows += batch.length;
    batches += 1;
  }
  return Math.max(1, Math.round(rows / batches));
}
