import { CheckpointError, quoted } from '../errors.js';
import { assertFinite } from '../finite.js';
import { fromFloat32, isFloat, toFloat32, type FloatDType } from '../floats.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { LowRankUpdate, TensorMerge } from './plan.js';

/** Source bytes that are worked on at a time. */
const pieceBytes = 8 << 20;

/** The smallest magnitudes that round to infinity. */
const overflowAt: Readonly<Record<FloatDType, number>> = Object.freeze({
  float32: Number.POSITIVE_INFINITY,
  bfloat16: (2 - 2 ** -8) * 2 ** 127,
  float16: 65520,
});

/** A tensor's merged bytes, piece by piece. */
export async function* mergedPieces(
  source: SafetensorsFile,
  tensor: TensorMerge,
): AsyncGenerator<Uint8Array> {
  const unitsPerPiece = Math.max(1, Math.floor(pieceBytes / tensor.unitBytes));
  for (let start = 0; start < tensor.units; start += unitsPerPiece) {
    yield await mergedUnits(source, tensor, {
      start,
      end: Math.min(tensor.units, start + unitsPerPiece),
    });
  }
}

/**
 * Units `start` to `end` (exclusive) as they are written: W + s · B A summed in float64, rounded to
 * float32 and once to the dtype.
 * @throws CheckpointError CHECKPOINT_NOT_FINITE where a weight that is changed is not,
 * CHECKPOINT_VALUE_OUT_OF_RANGE when it would become infinite.
 */
export async function mergedUnits(
  source: SafetensorsFile,
  tensor: TensorMerge,
  { start, end }: { start: number; end: number },
): Promise<Uint8Array> {
  const { name, from, to, unitBytes, updates } = tensor;
  const bytes = new Uint8Array((end - start) * unitBytes);
  await source.readRange(name, start * unitBytes, bytes);
  if (!isFloat(from) || !isFloat(to) || (from === to && updates.length === 0)) return bytes;
  if (isInfiniteBound(tensor, bytes, from)) return fromFloat32(toFloat32(bytes, from), to);
  assertFinite(bytes, from, { name, file: source.path });
  const values = toFloat32(bytes, from);
  for (const update of updates) addLowRank(values, update, { start, end, name });
  assertInRange(values, to, name);
  return fromFloat32(values, to);
}

/** A number beside the weights, such as what a layer clips at, may be none: infinite. */
function isInfiniteBound({ shape }: TensorMerge, bytes: Uint8Array, dtype: FloatDType): boolean {
  const isInfinite = (value: number): boolean => Math.abs(value) === Number.POSITIVE_INFINITY;
  return shape.length === 0 && toFloat32(bytes, dtype).every(isInfinite);
}

function addLowRank(
  values: Float32Array,
  { a, b, rank, scale, inFeatures, startRow, rows }: LowRankUpdate,
  { start, end, name }: { start: number; end: number; name: string },
): void {
  const delta = new Float64Array(inFeatures);
  for (let row = Math.max(start, startRow); row < Math.min(end, startRow + rows); row += 1) {
    const factors = b.subarray((row - startRow) * rank, (row - startRow + 1) * rank);
    if (factors.every((factor) => factor === 0)) continue;
    delta.fill(0);
    for (let k = 0; k < rank; k += 4) addFourScaled(delta, a, { k, rank, scale, factors });
    addRow(
      values.subarray((row - start) * inFeatures, (row - start + 1) * inFeatures),
      delta,
      name,
    );
  }
}

/**
 * delta += Σ scale · factors[k] · A[k] over four k at once, in the order of k: fewer passes over
 * `delta`, the same sums.
 */
function addFourScaled(
  delta: Float64Array,
  a: Float32Array,
  { k, rank, scale, factors }: { k: number; rank: number; scale: number; factors: Float32Array },
): void {
  const columns = delta.length;
  const rowOf = (index: number) =>
    a.subarray(Math.min(index, rank - 1) * columns, (Math.min(index, rank - 1) + 1) * columns);
  const factorOf = (index: number) => (index < rank ? scale * (factors[index] as number) : 0);
  const [a0, a1, a2, a3] = [rowOf(k), rowOf(k + 1), rowOf(k + 2), rowOf(k + 3)];
  const [f0, f1, f2, f3] = [factorOf(k), factorOf(k + 1), factorOf(k + 2), factorOf(k + 3)];
  for (let column = 0; column < columns; column += 1) {
    delta[column] =
      (delta[column] as number) +
      f0 * (a0[column] as number) +
      f1 * (a1[column] as number) +
      f2 * (a2[column] as number) +
      f3 * (a3[column] as number);
  }
}

function addRow(values: Float32Array, delta: Float64Array, name: string): void {
  for (let column = 0; column < values.length; column += 1) {
    const weight = values[column] as number;
    const merged = weight + (delta[column] as number);
    values[column] = merged;
    if (!isFinite(values[column] as number)) throw outOfRange(name, merged, 'float32');
  }
}

function assertInRange(values: Float32Array, dtype: FloatDType, name: string): void {
  const limit = overflowAt[dtype];
  if (!isFinite(limit)) return;
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] as number;
    if (value >= limit || value <= -limit) throw outOfRange(name, value, dtype);
  }
}

/** As `Number.isFinite`, without a look-up of a global in loops over every weight. */
function isFinite(value: number): boolean {
  return value - value === 0;
}

function outOfRange(name: string, value: number, dtype: FloatDType): CheckpointError {
  return new CheckpointError(
    'CHECKPOINT_VALUE_OUT_OF_RANGE',
    `${quoted(name)} would have the value ${value}, which ${dtype} cannot hold; choose another dtype`,
  );
}
