import type { Tensor } from '@emloc/device';

import type { PieceScope } from './piece-scope.js';
import { forEachConverted } from './row-chunks.js';

/** basisᵀ W (columns, in) in the statistics dtype, summed over pieces of W (out, in). */
export function project(
  scope: PieceScope,
  { weight, basis }: { weight: Tensor; basis: Tensor },
): Tensor {
  const { kernels, profile } = scope.device;
  const out = scope.matrix([basis.dim(1), weight.dim(1)], 'Uᵀ W');
  forEachConverted(scope, { x: weight, dtype: scope.dtype }, (piece, start, end) => {
    kernels.gemm({
      a: basis.rows(start, end),
      transposeA: true,
      b: piece,
      out,
      accumulate: start > 0,
    });
  });
  return out;
}
