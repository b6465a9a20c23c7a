import { bytesPerElement } from '@emloc/device';

import { CheckpointError, quoted } from '../errors.js';
import { assertFinite } from '../finite.js';
import {
  fromFloat32,
  isFloat,
  narrowInto,
  toFloat32,
  widenInto,
  type FloatDType,
} from '../floats.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { LowRankUpdate, TensorMerge } from './plan.js';

/** Source bytes that are worked on at a time. */
const pieceBytes = 8 << 20;
/** Values of a block, which are in the cache from widening to rounding. */
const blockValues = 1 << 15;

/** The smallest magnitudes that round to infinity. */
const overflowAt: Readonly<Record<FloatDType, number>> = Object.freeze({
  float32: Number.POSITIVE_INFINITY,
  bfloat16: (2 - 2 ** -8) * 2 ** 127,
  float16: 65520,
});

/** A tensor's merged bytes, piece by piece; a piece is overwritten when the next is asked for. */
export async function* mergedPieces(
  source: SafetensorsFile,
  tensor: TensorMerge,
): AsyncGenerator<Uint8Array> {
  const unitsPerPiece = Math.max(1, Math.floor(pieceBytes / tensor.unitBytes));
  const buffer = new Uint8Array(Math.min(tensor.units, unitsPerPiece) * tensor.unitBytes);
  for (let start = 0; start < tensor.units; start += unitsPerPiece) {
    const end = Math.min(tensor.units, start + unitsPerPiece);
    yield await mergedUnits(source, tensor, { start, end }, buffer);
  }
}

/**
 * Units `start` to `end` (exclusive) as they are written: W + s · B A summed in float64, of DoRA
 * scaled to the magnitude, rounded to float32 and once to the dtype.
 * @param buffer for as many units of the source; what is given back may lie in it.
 * @throws CheckpointError CHECKPOINT_NOT_FINITE where a weight that is changed is not,
 * CHECKPOINT_VALUE_OUT_OF_RANGE when it would become infinite.
 */
export async function mergedUnits(
  source: SafetensorsFile,
  tensor: TensorMerge,
  { start, end }: UnitRange,
  buffer = new Uint8Array((end - start) * tensor.unitBytes),
): Promise<Uint8Array> {
  const { name, from, to, unitBytes, updates } = tensor;
  const bytes = buffer.subarray(0, (end - start) * unitBytes);
  await source.readRange(name, start * unitBytes, bytes);
  if (!isFloat(from) || !isFloat(to) || (from === to && updates.length === 0)) return bytes;
  if (isInfiniteBound(tensor, bytes, from)) return fromFloat32(toFloat32(bytes, from), to);
  assertFinite(bytes, from, { name, file: source.path });
  return changedUnits(bytes, { name, from, to, unitBytes, updates, start });
}

interface UnitRange {
  readonly start: number;
  readonly end: number;
}

/** In place, unless the dtype changes. */
function changedUnits(bytes: Uint8Array, { from, to, unitBytes, ...rest }: FloatUnits): Uint8Array {
  const [fromBytes, toBytes] = [bytesPerElement[from], bytesPerElement[to]];
  const count = bytes.byteLength / fromBytes;
  const merged = from === to ? bytes : new Uint8Array(count * toBytes);
  const unitValues = unitBytes / fromBytes;
  const values = new Float32Array(Math.max(unitValues, blockValues - (blockValues % unitValues)));
  for (let done = 0; done < count; done += values.length) {
    const next = Math.min(count, done + values.length);
    const block = values.subarray(0, next - done);
    widenInto(block, bytes.subarray(done * fromBytes, next * fromBytes), from);
    const start = rest.start + done / unitValues;
    for (const update of rest.updates)
      addLowRank(block, update, { start, end: start + block.length / unitValues, name: rest.name });
    assertInRange(block, to, rest.name);
    narrowInto(merged.subarray(done * toBytes, next * toBytes), block, to);
  }
  return merged;
}

/** Units of a floating-point tensor, the first of which is `start`. */
interface FloatUnits extends Pick<TensorMerge, 'name' | 'unitBytes' | 'updates'> {
  readonly from: FloatDType;
  readonly to: FloatDType;
  readonly start: number;
}

/** A number beside the weights, such as what a layer clips at, may be none: infinite. */
function isInfiniteBound({ shape }: TensorMerge, bytes: Uint8Array, dtype: FloatDType): boolean {
  const isInfinite = (value: number): boolean => Math.abs(value) === Number.POSITIVE_INFINITY;
  return shape.length === 0 && toFloat32(bytes, dtype).every(isInfinite);
}

function addLowRank(
  values: Float32Array,
  { a, b, magnitude, rank, scale, inFeatures, startRow, rows }: LowRankUpdate,
  { start, end, name }: UnitRange & { readonly name: string },
): void {
  const delta = new Float64Array(inFeatures);
  for (let row = Math.max(start, startRow); row < Math.min(end, startRow + rows); row += 1) {
    const factors = b.subarray((row - startRow) * rank, (row - startRow + 1) * rank);
    if (!magnitude && factors.every((factor) => factor === 0)) continue;
    delta.fill(0);
    for (let k = 0; k < rank; k += 4) addFourScaled(delta, a, { k, rank, scale, factors });
    const target = values.subarray((row - start) * inFeatures, (row - start + 1) * inFeatures);
    const factor = magnitude ? factorToNorm(target, delta, magnitude[row - startRow] as number) : 1;
    addRow(target, delta, { factor, name });
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

/** The factor that gives W + delta the norm; zeros stay zeros. */
function factorToNorm(weights: Float32Array, delta: Float64Array, norm: number): number {
  let squares = 0;
  for (let column = 0; column < delta.length; column += 1)
    squares += ((weights[column] as number) + (delta[column] as number)) ** 2;
  return squares === 0 ? 0 : norm / Math.sqrt(squares);
}

function addRow(
  values: Float32Array,
  delta: Float64Array,
  { factor, name }: { readonly factor: number; readonly name: string },
): void {
  for (let column = 0; column < values.length; column += 1) {
    const weight = values[column] as number;
    const merged = factor * (weight + (delta[column] as number));
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
