import type { GatherRowsOptions } from '@emloc/device';
import { assertIndices, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

export function gatherRows(
  { tf, memory }: TfjsContext,
  { table, rows, out }: GatherRowsOptions,
): void {
  const [limit, width] = matrix('gatherRows', table);
  assertShape('gatherRows', out, [rows.size, width]);
  assertIndices('gatherRows', memory.indices(rows), limit, rows.label);
  if (out.size > 0)
    memory.write(out, tf.gather(memory.float32<Tensor2D>(table), memory.int32(rows)));
}
