import { at } from '@emloc/checked';

import type { AdapterWeights } from './adapter-weights.js';
import { rowsIn, type Checkpoint } from './checkpoint.js';
import { CheckpointError, quoted } from './errors.js';
import { isFloat, toFloat32, type FloatDType } from './floats.js';
import { tensorBytes } from './tensor-dtype.js';

/** Bytes of a tensor that are compared at a time; at least one row. */
const pieceBytes = 8 << 20;

/** A float tensor that is read by indices of its first dimension. */
export interface TensorRows {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  /** Fills `destination` with rows `start` to `end` (exclusive). */
  read(start: number, end: number, destination: Uint8Array): Promise<void>;
}

/**
 * Whether two tensors of a checkpoint have the same shape and, in whatever dtypes, the same values.
 * @throws CheckpointError when one of them is missing or holds no floats
 */
export async function sameTensor(
  checkpoint: Checkpoint,
  [a, b]: readonly [string, string],
  signal?: AbortSignal,
): Promise<boolean> {
  const [first, second] = [rowsOfCheckpoint(checkpoint, a), rowsOfCheckpoint(checkpoint, b)];
  if (first.shape.join() !== second.shape.join()) return false;
  return (await firstDifference(first, second, signal)) === null;
}

/** The first values that differ in two tensors of one shape; null where none does. */
export async function firstDifference(
  a: TensorRows,
  b: TensorRows,
  signal?: AbortSignal,
): Promise<readonly [number, number] | null> {
  const rows = rowsIn(a.shape);
  const rowBytes = Math.max(rowBytesOf(a), rowBytesOf(b), 1);
  const step = Math.max(1, Math.floor(pieceBytes / rowBytes));
  for (let start = 0; start < rows; start += step) {
    signal?.throwIfAborted();
    const end = Math.min(rows, start + step);
    const [mine, theirs] = await Promise.all([valuesOf(a, start, end), valuesOf(b, start, end)]);
    const odd = mine.findIndex((value, index) => value !== theirs[index]);
    if (odd >= 0) return [at(mine, odd), at(theirs, odd)];
  }
  return null;
}

/** @throws CheckpointError when it is missing or holds no floats */
export function rowsOfCheckpoint(checkpoint: Checkpoint, name: string): TensorRows {
  const { shape, dtype } = floatTensor(checkpoint.tensors.get(name), name, checkpoint.folder);
  return {
    shape,
    dtype,
    read: (start, end, destination) => checkpoint.readRows(name, start, end, destination),
  };
}

/** @throws CheckpointError when it is missing or holds no floats */
export function rowsOfFile(file: AdapterWeights, name: string): TensorRows {
  const { shape, dtype } = floatTensor(file.tensors.get(name), name, file.path);
  const rows: Omit<TensorRows, 'read'> = { shape, dtype };
  return {
    ...rows,
    read: (start, _end, destination) => file.readRange(name, start * rowBytesOf(rows), destination),
  };
}

async function valuesOf(tensor: TensorRows, start: number, end: number): Promise<Float32Array> {
  const bytes = new Uint8Array((end - start) * rowBytesOf(tensor));
  await tensor.read(start, end, bytes);
  return toFloat32(bytes, tensor.dtype);
}

function rowBytesOf({ shape, dtype }: Omit<TensorRows, 'read'>): number {
  return tensorBytes(shape.slice(1), dtype) ?? 0;
}

function floatTensor(
  tensor: { readonly shape: readonly number[]; readonly dtype: string } | undefined,
  name: string,
  place: string,
): Omit<TensorRows, 'read'> {
  if (!tensor)
    throw new CheckpointError(
      'CHECKPOINT_TENSOR_MISSING',
      `${place} has no tensor ${quoted(name)}`,
    );
  const { shape, dtype } = tensor;
  if (isFloat(dtype)) return { shape, dtype };
  throw new CheckpointError(
    'CHECKPOINT_UNSUPPORTED_FORMAT',
    `${place}: ${quoted(name)} has dtype ${dtype}; supported are float32, bfloat16, float16`,
  );
}
