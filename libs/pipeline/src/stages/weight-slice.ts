import { weightPlace, type SourceSlice } from '@emloc/models';

import type { EmulatedLinear, Job } from '../job/job.js';

/** A linear layer's weight as a layer of its own. */
export function weightSlice({ model }: Job, linear: EmulatedLinear): SourceSlice {
  const { page, tensor } = weightPlace(model.layout, linear);
  return { name: linear.path, page, tensors: [tensor] };
}
