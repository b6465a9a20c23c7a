import { weightPlace, type SourceSlice } from '@emloc/models';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import type { Job } from '../job/job.js';

/** A linear layer's weight as a layer of its own. */
export function weightSlice({ model }: Job, linear: EmulatedLinear): SourceSlice {
  const { page, tensor } = weightPlace(model.layout, linear);
  return { name: linear.path, page, tensors: [tensor] };
}
