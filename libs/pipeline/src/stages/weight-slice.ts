import type { SourceSlice } from '@emloc/models';

import type { EmulatedLinear, Job } from '../job/job.js';

/** A linear layer's weight as a layer of its own. */
export function weightSlice(job: Job, { path, block, linear }: EmulatedLinear): SourceSlice {
  return {
    name: path,
    unit: job.model.layout.blockUnit(block),
    tensors: [`${linear.name}.weight`],
  };
}
