import { pathOfBlock } from '@emloc/models';
import type { TensorRecord } from '@emloc/pipeline';
import { factorsFromRecord, type JobRun } from '@emloc/pipeline/stages';

import { inLayer } from './engine-stage.js';

/** Asks for the factors of a block. */
export interface FactorsRequest {
  readonly type: 'factors';
  readonly block: number;
}

/** Brings the factors of all emulated blocks into the environment's store, block by block. */
export async function fetchFactors(
  { job, environment }: JobRun,
  request: (request: FactorsRequest) => Promise<TensorRecord>,
): Promise<void> {
  const {
    factors: store,
    device: { profile },
    signal,
  } = environment;
  for (const block of new Set(job.emulated.map((linear) => linear.block))) {
    signal?.throwIfAborted();
    const { factors, reports } = factorsFromRecord(
      await inLayer(pathOfBlock(job.model.layout, block), () =>
        request({ type: 'factors', block }),
      ),
      { emulated: job.emulated, profile },
    );
    await store.put(block, factors, reports);
  }
}
