import { DeviceError, type KernelName, type SequenceLayout, type Tensor } from '@emloc/device';

/** Rows and columns of a 2-D tensor. @throws DeviceError DEVICE_SHAPE_MISMATCH for another rank */
export function matrix(
  kernel: KernelName,
  { shape, label }: Tensor,
): readonly [rows: number, columns: number] {
  const [rows, columns] = shape;
  if (shape.length === 2 && rows !== undefined && columns !== undefined) return [rows, columns];
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${label} has shape [${shape.join(', ')}], not two dimensions`,
  );
}

/**
 * Native code and WebAssembly read and write what they are told, so every size is checked before.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH
 */
export function assertShape(
  kernel: KernelName,
  { shape, label }: Tensor,
  expected: readonly number[],
): void {
  if (shape.length === expected.length && shape.every((extent, axis) => extent === expected[axis]))
    return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${label} has shape [${shape.join(', ')}], expected [${expected.join(', ')}]`,
  );
}

/** @throws DeviceError DEVICE_SHAPE_MISMATCH unless the tensor has as many elements as expected */
export function assertSize(kernel: KernelName, { size, label }: Tensor, expected: number): void {
  if (size === expected) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: ${label} has ${size} elements, expected ${expected}`,
  );
}

/**
 * A list's tensor that goes with a parameter; of any size where none is given.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH where it is missing or has another size
 */
export function partnerOf(
  kernel: KernelName,
  list: readonly Tensor[],
  index: number,
  parameter?: Tensor,
): Tensor {
  const tensor = list[index];
  if (!tensor)
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: a list has no entry ${index} for ${parameter?.label ?? 'a parameter'}`,
    );
  assertSize(kernel, tensor, parameter?.size ?? tensor.size);
  return tensor;
}

/** Rows and columns over the last dimension, whatever the rank. */
export function rowsAndColumns({ shape, size }: Tensor): readonly [rows: number, columns: number] {
  const columns = shape.at(-1) ?? 1;
  return [columns === 0 ? 0 : size / columns, columns];
}

/** @throws DeviceError DEVICE_SHAPE_MISMATCH when an index is outside [0, limit) */
export function assertIndices(
  kernel: KernelName,
  indices: Int32Array,
  limit: number,
  label: string,
): void {
  for (let i = 0; i < indices.length; i += 1) {
    const index = indices[i] as number;
    if (index >= 0 && index < limit) continue;
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `${kernel}: ${label}[${i}] is ${index}, outside 0..${limit - 1}`,
    );
  }
}

/** As `assertIndices`, where −1 is no index. */
export function assertTargets(
  kernel: KernelName,
  targets: Int32Array,
  limit: number,
  label: string,
): void {
  assertIndices(
    kernel,
    targets.map((target) => (target === -1 ? 0 : target)),
    limit,
    label,
  );
}

/** @throws DeviceError DEVICE_SHAPE_MISMATCH unless the offsets grow from 0 to `rows` */
export function assertSequences(
  kernel: KernelName,
  { offsets }: SequenceLayout,
  rows: number,
): void {
  const grows = offsets.every((offset, i) => i === 0 || offset >= (offsets[i - 1] as number));
  if (grows && (offsets.at(0) ?? 0) === 0 && (offsets.at(-1) ?? 0) === rows) return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `${kernel}: sequence offsets do not grow from 0 to ${rows} rows`,
  );
}
