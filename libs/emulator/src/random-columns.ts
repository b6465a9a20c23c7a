import { createHash } from 'node:crypto';
import type { Tensor } from '@emloc/device';

import type { PieceScope } from './piece-scope.js';

/**
 * ±1 with equal odds (n, columns), in the scope's dtype and owned by it; the same on every device
 * for the same text, of whose SHA-256 the first 64 bits are the key of a mask of dropout.
 */
export function randomColumns(
  scope: PieceScope,
  shape: readonly [n: number, columns: number],
  text: string,
): Tensor {
  const { device } = scope;
  const { kernels } = device;
  const [signs, ones] = ['signs', 'ones'].map((label) =>
    scope.allocate({ shape, dtype: 'float32', label }),
  ) as [Tensor, Tensor];
  const key = scope.allocate({ shape: [2], dtype: 'int32', label: 'key' });
  const bytes = new Uint8Array(createHash('sha256').update(text).digest().subarray(0, 8));
  device.upload(key, { bytes, dtype: 'int32' });
  kernels.fill({ out: signs, value: -1 });
  kernels.fill({ out: ones, value: 1 });
  kernels.dropout({
    ...{ x: ones, out: signs, key },
    ...{ probability: 0.5, stream: 0, accumulate: true },
  });
  scope.free(ones, key);
  if (scope.dtype === 'float32') return signs;
  const columns = scope.matrix(shape, 'random columns');
  kernels.cast({ x: signs, out: columns });
  scope.free(signs);
  return columns;
}
