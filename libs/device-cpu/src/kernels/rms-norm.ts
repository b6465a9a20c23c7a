import type { RmsNormBackwardOptions, RmsNormOptions } from '@emloc/device';

import { assertSize, rowsAndColumns } from '../checks.js';
import { gainsOf } from '../gains.js';
import { float32 } from '../memory.js';
import { dotProduct, weightedDotProduct } from '../sums.js';

/** Sums in float64. */
export function rmsNorm({
  x,
  weight,
  weightOffset,
  epsilon,
  out,
  inverseRms,
}: RmsNormOptions): void {
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNorm', out, x.size);
  assertSize('rmsNorm', inverseRms, rows);
  const gain = gainsOf('rmsNorm', weight, width, weightOffset);
  const [input, output, inverses] = [float32(x), float32(out), float32(inverseRms)];
  for (let row = 0; row < rows; row += 1) {
    const start = row * width;
    const inverse = Math.fround(
      1 / Math.sqrt(dotProduct(input, start, input, start, width) / width + epsilon),
    );
    inverses[row] = inverse;
    for (let i = 0; i < width; i += 1)
      output[start + i] = (input[start + i] as number) * inverse * (gain[i] as number);
  }
}

/** dX = r (g − x r² mean(g x)) with g = dOut · weight and r = inverseRms; sums in float64. */
export function rmsNormBackward({
  dOut,
  x,
  weight,
  weightOffset,
  inverseRms,
  dX,
  accumulate,
  out,
}: RmsNormBackwardOptions): void {
  const [rows, width] = rowsAndColumns(x);
  assertSize('rmsNormBackward', dOut, x.size);
  assertSize('rmsNormBackward', dX, x.size);
  assertSize('rmsNormBackward', inverseRms, rows);
  if (out) assertSize('rmsNormBackward', out, x.size);
  const gain = gainsOf('rmsNormBackward', weight, width, weightOffset);
  const [gradient, input, inverses, output] = [
    float32(dOut),
    float32(x),
    float32(inverseRms),
    float32(dX),
  ];
  for (let row = 0; row < rows; row += 1) {
    const start = row * width;
    const inverse = inverses[row] as number;
    const shift = (weightedDotProduct(gradient, input, start, gain) * inverse * inverse) / width;
    for (let i = 0, j = start; i < width; i += 1, j += 1) {
      const value =
        inverse * ((gradient[j] as number) * (gain[i] as number) - (input[j] as number) * shift);
      output[j] = accumulate ? (output[j] as number) + value : value;
    }
  }
  if (out) scaleRows({ input, gain, inverses, output: float32(out) });
}

function scaleRows({
  input,
  gain,
  inverses,
  output,
}: Readonly<Record<'input' | 'inverses' | 'output', Float32Array>> & {
  readonly gain: Float64Array;
}): void {
  const width = gain.length;
  for (let row = 0, j = 0; row < inverses.length; row += 1) {
    for (let i = 0; i < width; i += 1, j += 1)
      output[j] = (input[j] as number) * (inverses[row] as number) * (gain[i] as number);
  }
}
