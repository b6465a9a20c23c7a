import type { ScatterRowsOptions } from '@emloc/device';
import { assertIndices, assertShape, matrix } from '@emloc/device-cpu';
import type { Tensor2D } from '@tensorflow/tfjs-core';

import type { TfjsContext } from '../context.js';

/**
 * Rows are gathered from `out` with `x` below it: TensorFlow.js's own scattering may write into its
 * input.
 */
export function scatterRows(
  { tf, memory }: TfjsContext,
  { x, rows, out }: ScatterRowsOptions,
): void {
  const [limit, width] = matrix('scatterRows', out);
  const indices = memory.indices(rows);
  assertShape('scatterRows', x, [rows.size, width]);
  assertIndices('scatterRows', indices, limit, rows.label);
  if (x.size === 0) return;
  const order = Int32Array.from({ length: limit }, (_, row) => row);
  indices.forEach((row, i) => {
    order[row] = limit + i;
  });
  memory.write(
    out,
    tf.gather(
      tf.concat2d([memory.float32<Tensor2D>(out), memory.float32<Tensor2D>(x)], 0),
      tf.tensor1d(order, 'int32'),
    ),
  );
}
