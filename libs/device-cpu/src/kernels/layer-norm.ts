import type { LayerNormBackwardOptions, LayerNormOptions } from '@emloc/device';

import { assertShape, assertSize, rowsAndColumns } from '../checks.js';
import { gainsOf } from '../gains.js';
import { float32 } from '../memory.js';

/** Sums in float64, the variance about the mean of a first pass. */
export function layerNorm(options: LayerNormOptions): void {
  const { x, weight, bias, epsilon, out, mean, inverseStd } = options;
  const [rows, width] = rowsAndColumns(x);
  assertSize('layerNorm', out, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNorm', tensor, rows);
  if (bias) assertShape('layerNorm', bias, [width]);
  const gain = gainsOf('layerNorm', weight, width);
  const shift = bias ? Float64Array.from(float32(bias)) : new Float64Array(width);
  const [input, output] = [float32(x), float32(out)];
  const [means, inverses] = [float32(mean), float32(inverseStd)];
  for (let row = 0; row < rows; row += 1) {
    const start = row * width;
    const center = sumFrom(input, start, width, 0) / width;
    const variance = squaresAbout(input, start, width, center) / width;
    const inverse = Math.fround(1 / Math.sqrt(variance + epsilon));
    means[row] = center;
    inverses[row] = inverse;
    for (let i = 0, j = start; i < width; i += 1, j += 1) {
      const normal = ((input[j] as number) - center) * inverse;
      output[j] = normal * (gain[i] as number) + (shift[i] as number);
    }
  }
}

/**
 * dX = r (g − mean(g) − x̂ mean(g x̂)) with g = dOut · weight, x̂ = (x − mean) r and r = inverseStd;
 * sums in float64. What the mean lost when it was rounded to float32 is found again.
 */
export function layerNormBackward(options: LayerNormBackwardOptions): void {
  const { dOut, x, weight, mean, inverseStd, dX, accumulate } = options;
  const [rows, width] = rowsAndColumns(x);
  for (const tensor of [dOut, dX]) assertSize('layerNormBackward', tensor, x.size);
  for (const tensor of [mean, inverseStd]) assertSize('layerNormBackward', tensor, rows);
  const gain = gainsOf('layerNormBackward', weight, width);
  const [gradient, input, output] = [float32(dOut), float32(x), float32(dX)];
  const [means, inverses] = [float32(mean), float32(inverseStd)];
  for (let row = 0; row < rows; row += 1) {
    const start = row * width;
    const inverse = inverses[row] as number;
    const rough = means[row] as number;
    const center = rough + sumFrom(input, start, width, rough) / width;
    let [plain, projected] = [0, 0];
    for (let i = 0, j = start; i < width; i += 1, j += 1) {
      const g = (gradient[j] as number) * (gain[i] as number);
      plain += g;
      projected += g * ((input[j] as number) - center);
    }
    const [shift, tilt] = [plain / width, (projected * inverse * inverse) / width];
    for (let i = 0, j = start; i < width; i += 1, j += 1) {
      const g = (gradient[j] as number) * (gain[i] as number);
      const value = inverse * (g - shift - ((input[j] as number) - center) * tilt);
      output[j] = accumulate ? (output[j] as number) + value : value;
    }
  }
}

/** Σ (x − origin) over a row, four sums side by side. */
function sumFrom(x: Float32Array, start: number, count: number, origin: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const end = start + count;
  const endOfQuads = end - (count % 4);
  let i = start;
  for (; i < endOfQuads; i += 4) {
    s0 += (x[i] as number) - origin;
    s1 += (x[i + 1] as number) - origin;
    s2 += (x[i + 2] as number) - origin;
    s3 += (x[i + 3] as number) - origin;
  }
  for (; i < end; i += 1) s0 += (x[i] as number) - origin;
  return s0 + s1 + (s2 + s3);
}

/** Σ (x − center)², likewise. */
function squaresAbout(x: Float32Array, start: number, count: number, center: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const end = start + count;
  const endOfQuads = end - (count % 4);
  let i = start;
  for (; i < endOfQuads; i += 4) {
    const a = (x[i] as number) - center;
    const b = (x[i + 1] as number) - center;
    const c = (x[i + 2] as number) - center;
    const d = (x[i + 3] as number) - center;
    s0 += a * a;
    s1 += b * b;
    s2 += c * c;
    s3 += d * d;
  }
  for (; i < end; i += 1) {
    const a = (x[i] as number) - center;
    s0 += a * a;
  }
  return s0 + s1 + (s2 + s3);
}
