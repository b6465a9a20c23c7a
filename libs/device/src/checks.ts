import { DeviceError } from './errors.js';
import type { SequenceLayout } from './sequence-layout.js';
import type { Tensor } from './tensor.js';

function format(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** Rows and columns of a 2-D tensor. @throws DeviceError DEVICE_SHAPE_MISMATCH for another rank. */
export function matrix(kernel: string, tensor: Tensor): readonly [rows: number, columns: number] {
  const [rows, columns] = tensor.shape;
  if (tensor.shape.length !== 2 || rows === undefined || columns === undefined) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${tensor.label} has shape ${format(tensor.shape)}, not two dimensions`,
    );
  }
  return [rows, columns];
}

/** Length of the last dimension; 1 for a scalar. */
export function lastExtent(tensor: Tensor): number {
  return tensor.shape.at(-1) ?? 1;
}

/** @throws DeviceError DEVICE_SHAPE_MISMATCH when the tensor has another shape. */
export function assertShape(kernel: string, tensor: Tensor, shape: readonly number[]): void {
  if (isEqual(tensor.shape, shape)) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${tensor.label} has shape ${format(tensor.shape)}, expected ${format(shape)}`,
  );
}

/**
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless all tensors have as many elements as the first.
 */
export function assertEqualSizes(
  kernel: string,
  first: Tensor,
  ...others: readonly Tensor[]
): void {
  for (const other of others) {
    if (other.size === first.size) continue;
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${other.label} ${format(other.shape)} and ${first.label} ${format(first.shape)} differ in size`,
    );
  }
}

/** @throws DeviceError DEVICE_SHAPE_MISMATCH when a list argument has another length. */
export function assertCount(kernel: string, name: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${name} has ${actual} entries, expected ${expected}`,
  );
}

/** @throws DeviceError DEVICE_USE_AFTER_DISPOSE when one of the tensors is gone. */
export function assertLive(...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) void tensor.handle;
}

/**
 * @throws DeviceError DEVICE_SHAPE_MISMATCH when a matrix is smaller than needed in either
 * direction.
 */
export function assertAtLeast(
  kernel: string,
  { label }: Tensor,
  [rows, columns]: readonly [number, number],
  needed: readonly [number, number],
): void {
  if (rows >= needed[0] && columns >= needed[1]) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${label} has shape ${format([rows, columns])}, at least ${format(needed)} expected`,
  );
}

/**
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless a sequence has at least one row in a cache and
 * none beyond its end
 */
export function assertCacheRange(
  kernel: string,
  { start, length }: { readonly start: number; readonly length: number },
  keys: Tensor,
): void {
  if (start >= 0 && length >= 1 && start + length <= keys.dim(0)) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: a sequence has rows ${start} to ${start + length} of ${keys.label}, which has ${keys.dim(0)}`,
  );
}

/**
 * How many sequences there are.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless the layout ends at `rows`
 */
export function assertSequences(kernel: string, sequences: SequenceLayout, rows: number): number {
  const { offsets, deviceOffsets } = sequences;
  assertLive(deviceOffsets);
  assertShape(kernel, deviceOffsets, [offsets.length]);
  assertCount(kernel, 'last sequence offset', offsets.at(-1) ?? 0, rows);
  return offsets.length - 1;
}

/**
 * @throws DeviceError DEVICE_SHAPE_MISMATCH unless the columns of a matrix are a whole number of
 * equal parts
 */
export function assertDivides(
  kernel: string,
  { name, count }: { readonly name: string; readonly count: number },
  tensor: Tensor,
): void {
  const columns = lastExtent(tensor);
  if (Number.isInteger(count) && count >= 1 && columns % count === 0) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${count} ${name} do not divide the ${columns} columns of ${tensor.label}`,
  );
}
