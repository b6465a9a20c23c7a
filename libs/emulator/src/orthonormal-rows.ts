import { EmulatorError } from './errors.js';

/** A row this much shorter than the longest is rounding noise of a float32 matrix. */
const negligible = 1e-7;

/**
 * Unit rows with the directions of `matrix` (rows, columns), whose rows are orthogonal up to
 * rounding, and the rows' norms. A negligible row has norm 0 and is replaced by a unit row
 * orthogonal to all others. Needs rows <= columns.
 * @throws EmulatorError EMULATOR_NON_FINITE
 */
export function orthonormalRows(
  matrix: Float32Array | Float64Array,
  rows: number,
  columns: number,
): { rows: Float32Array; norms: Float64Array } {
  const unit = new Float64Array(matrix);
  const norms = Float64Array.from({ length: rows }, (_, row) => norm(rowOf(unit, row, columns)));
  const longest = Math.max(0, ...norms);
  if (!Number.isFinite(longest))
    throw new EmulatorError(
      'EMULATOR_NON_FINITE',
      `correction: the adapter's A (${rows}, ${columns}) has values that are not finite`,
    );
  const missing: number[] = [];
  for (const [row, length] of norms.entries()) {
    if (length > negligible * longest) {
      scaleInPlace(rowOf(unit, row, columns), 1 / length);
      continue;
    }
    rowOf(unit, row, columns).fill(0);
    norms[row] = 0;
    missing.push(row);
  }
  // Of nothing come the first unit vectors, as `complete` finds them one by one.
  if (missing.length === rows) for (const row of missing) rowOf(unit, row, columns)[row] = 1;
  else if (missing.length > 0) complete(unit, { missing, rows, columns });
  return { rows: new Float32Array(unit), norms };
}

/**
 * Fills each missing row with the unit vector that the present ones cover least, orthogonalised
 * twice (Kahan's rule).
 */
function complete(
  unit: Float64Array,
  { missing, rows, columns }: { missing: readonly number[]; rows: number; columns: number },
): void {
  const coverage = new Float64Array(columns);
  const cover = (row: Float64Array): void =>
    row.forEach((value, column) => {
      coverage[column] = (coverage[column] as number) + value * value;
    });
  for (let row = 0; row < rows; row += 1) cover(rowOf(unit, row, columns));
  for (const row of missing) {
    const vector = rowOf(unit, row, columns);
    const candidate = new Float64Array(columns);
    candidate[
      coverage.indexOf(coverage.reduce((least, value) => Math.min(least, value), Infinity))
    ] = 1;
    for (let pass = 0; pass < 2; pass += 1) {
      for (let other = 0; other < rows; other += 1)
        if (other !== row) removeComponent(candidate, rowOf(unit, other, columns));
    }
    scaleInPlace(candidate, 1 / norm(candidate));
    vector.set(candidate);
    cover(vector);
  }
}

function removeComponent(vector: Float64Array, direction: Float64Array): void {
  let overlap = 0;
  for (let i = 0; i < vector.length; i += 1)
    overlap += (vector[i] as number) * (direction[i] as number);
  if (overlap === 0) return;
  for (let i = 0; i < vector.length; i += 1)
    vector[i] = (vector[i] as number) - overlap * (direction[i] as number);
}

function scaleInPlace(vector: Float64Array, factor: number): void {
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] as number) * factor;
}

function norm(vector: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i += 1) {
    const value = vector[i] as number;
    sum += value * value;
  }
  return Math.sqrt(sum);
}

function rowOf(matrix: Float64Array, row: number, columns: number): Float64Array {
  return matrix.subarray(row * columns, (row + 1) * columns);
}
