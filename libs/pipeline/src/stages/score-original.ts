import type { LoraAdapter } from '@emloc/checkpoint';
import type { Score } from '@emloc/tasks';
import { streamingHostBytes } from '@emloc/weight-pager';

import { openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';
import { score } from './score.js';

/** Scores adapters (null: none) in one pass over the original with the weights of its files. */
export async function scoreOnOriginal(
  { job, environment }: JobRun,
  {
    stage,
    adapters,
  }: {
    readonly stage: 'train' | 'correct' | 'refine';
    readonly adapters: readonly (LoraAdapter | null)[];
  },
): Promise<readonly Score[]> {
  const { device } = environment;
  const { layout, source } = job.model;
  // Every page is needed once.
  const hostBytes = streamingHostBytes(source, environment.hostBytes, 1 / 2);
  await using pager = openModelPager(environment, source, stage, { hostBytes });
  return await score(environment, {
    model: { device, layout, pager, longestRow: job.longestRow },
    stage,
    adapters,
    batches: job.validation,
    task: 'scoring',
  });
}
