import type { KernelName, L2NormBackwardOptions, L2NormOptions, Tensor } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';
import { dotProduct } from '../sums.js';

/** Sums in float64. */
export function l2Norm({ x, heads, epsilon, scale = 1, out, inverseNorm }: L2NormOptions): void {
  const width = headWidth('l2Norm', x, heads, inverseNorm);
  assertShape('l2Norm', out, x.shape);
  const [input, output, inverses] = [float32(x), float32(out), float32(inverseNorm)];
  for (let head = 0, j = 0; head < inverses.length; head += 1) {
    const inverse = Math.fround(1 / Math.sqrt(dotProduct(input, j, input, j, width) + epsilon));
    inverses[head] = inverse;
    for (const end = j + width; j < end; j += 1) output[j] = (input[j] as number) * inverse * scale;
  }
}

/** dX = scale s (g − x s² Σ x g) with g = dOut and s = inverseNorm; sums in float64. */
export function l2NormBackward(options: L2NormBackwardOptions): void {
  const { dOut, x, heads, scale = 1, inverseNorm, dX, accumulate } = options;
  const width = headWidth('l2NormBackward', x, heads, inverseNorm);
  for (const tensor of [dOut, dX]) assertShape('l2NormBackward', tensor, x.shape);
  const [gradient, input, inverses, output] = [
    float32(dOut),
    float32(x),
    float32(inverseNorm),
    float32(dX),
  ];
  for (let head = 0, j = 0; head < inverses.length; head += 1) {
    const inverse = inverses[head] as number;
    const shift = dotProduct(gradient, j, input, j, width) * inverse * inverse;
    for (const end = j + width; j < end; j += 1) {
      const value = scale * inverse * ((gradient[j] as number) - (input[j] as number) * shift);
      output[j] = accumulate ? (output[j] as number) + value : value;
    }
  }
}

/** Length of a head. */
function headWidth(kernel: KernelName, x: Tensor, heads: number, inverseNorm: Tensor): number {
  const [rows, columns] = matrix(kernel, x);
  assertShape(kernel, inverseNorm, [rows, heads]);
  return columns / heads;
}
