import { bytesPerElement, DeviceError, type DType, type Tensor } from '@emloc/device';

import type { BiasedProducts } from './biased-products.js';
import type { Launcher } from './launcher.js';
import type { CudaMemory, CudaMemoryPool } from './memory.js';
import type { Cublas } from './native/cublas.js';
import type { Cusolver } from './native/cusolver.js';
import type { Streams } from './streams.js';
import type { Transfers } from './transfers.js';

/** What operations work with. */
export interface CudaContext {
  readonly launcher: Launcher;
  readonly pool: CudaMemoryPool;
  readonly streams: Streams;
  readonly transfers: Transfers;
  readonly cublas: { readonly calls: Cublas; readonly handle: number };
  readonly biasedProducts: BiasedProducts;
  /** Whether kernels may use wgmma and the copy engine: Hopper cards alone have both. */
  readonly hasWgmma: boolean;
  readonly cusolver: { readonly calls: Cusolver; readonly handle: number };
}

/**
 * The device address of a tensor's first element. Take scratch memory first: that may move tensors.
 */
export function addressOf({ pool }: CudaContext, tensor: Tensor): number {
  return (
    pool.addressOf(tensor.handle as CudaMemory) +
    tensor.elementOffset * bytesPerElement[tensor.dtype]
  );
}

/**
 * Calls `use` with the address of scratch memory that may be reused by whatever is launched
 * afterwards.
 */
export function withScratch<T>(
  { pool }: CudaContext,
  bytes: number,
  use: (address: number) => T,
): T {
  const memory = pool.allocate(roundUp(bytes));
  try {
    return use(pool.addressOf(memory));
  } finally {
    pool.free(memory);
  }
}

/** Sizes in multiples of the allocation granule. */
export function roundUp(bytes: number): number {
  return Math.ceil(bytes / allocationBytes) * allocationBytes;
}

/**
 * What every allocation is rounded up to: keeps addresses aligned for the widest accesses and for
 * cuBLAS.
 */
export const allocationBytes = 512;

/** @throws DeviceError DEVICE_SHAPE_MISMATCH naming the operation and the tensor. */
export function expectShape(operation: string, tensor: Tensor, shape: readonly number[]): void {
  if (
    tensor.shape.length === shape.length &&
    shape.every((extent, axis) => extent === tensor.shape[axis])
  )
    return;
  throw new DeviceError(
    'DEVICE_SHAPE_MISMATCH',
    `cuda: ${operation}: ${tensor.label} has shape [${tensor.shape.join(', ')}], expected [${shape.join(', ')}]`,
  );
}

/**
 * @throws DeviceError DEVICE_UNSUPPORTED when the tensors do not all have one of `allowed` in
 * common.
 */
export function expectDType<D extends DType>(
  operation: string,
  allowed: readonly D[],
  first: Tensor,
  ...others: readonly Tensor[]
): D {
  const dtype = allowed.find((candidate) => candidate === first.dtype);
  const odd = [first, ...others].find((tensor) => tensor.dtype !== dtype);
  if (dtype !== undefined && !odd) return dtype;
  const offender = odd ?? first;
  throw new DeviceError(
    'DEVICE_UNSUPPORTED',
    `cuda: ${operation}: ${offender.label} is ${offender.dtype}, expected ${dtype ?? allowed.join(' or ')}`,
  );
}

/** (rows, columns) of a tensor, its leading dimensions taken together. */
export function rowsAndColumns(operation: string, tensor: Tensor): readonly [number, number] {
  const columns = tensor.shape.at(-1);
  if (tensor.shape.length < 1 || columns === undefined) {
    throw new DeviceError(
      'DEVICE_SHAPE_MISMATCH',
      `cuda: ${operation}: ${tensor.label} is a scalar, expected rows`,
    );
  }
  return [columns === 0 ? 0 : tensor.size / columns, columns];
}
