import type { LayerCorrection } from './correction.js';

/**
 * B_c = B' − Δ (out, r), each column of Δ first limited to λ times the mean magnitude of B's:
 * Δ[:,i] *= min(1, λ · mean|B'[:,i]| / mean|Δ[:,i]|), 0 / 0 = 0.
 */
export function applyCorrection({
  bRotated,
  delta,
  rank,
  lambda,
}: Pick<LayerCorrection, 'bRotated' | 'delta'> & {
  readonly rank: number;
  readonly lambda: number;
}): Float32Array {
  const [bMagnitudes, deltaMagnitudes] = [
    columnMagnitudes(bRotated, rank),
    columnMagnitudes(delta, rank),
  ];
  const limits = bMagnitudes.map((magnitude, i) => {
    const limit = lambda * magnitude;
    const deltaMagnitude = deltaMagnitudes[i] as number;
    return magnitude === 0 || deltaMagnitude === 0 ? 0 : Math.min(1, limit / deltaMagnitude);
  });
  const corrected = new Float32Array(bRotated.length);
  for (let row = 0; row < corrected.length; row += rank)
    for (let column = 0; column < rank; column += 1) {
      const index = row + column;
      corrected[index] =
        (bRotated[index] as number) - (limits[column] as number) * (delta[index] as number);
    }
  return corrected;
}

/** Σ|x| of each column; the mean's divisor cancels in the ratio of two. */
function columnMagnitudes(values: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (let row = 0; row < values.length; row += columns)
    for (let column = 0; column < columns; column += 1)
      sums[column] = (sums[column] as number) + Math.abs(values[row + column] as number);
  return sums;
}
