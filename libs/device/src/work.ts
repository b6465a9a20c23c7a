import { assertLive } from './checks.js';
import type { Tensor } from './tensor.js';

/**
 * What one launch costs: floating-point operations, and bytes of its operands read and written once
 * each. The flops of elementwise kernels, which are bound by memory, are nominal.
 */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
  /** Of `flops`, those of products in float64, which most cards do far slower. Default 0. */
  readonly float64Flops?: number;
}

export function bytesOf(...tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
}

/**
 * Work of a kernel that touches each operand once and does `flopsPerElement` for each element of
 * `tensor`.
 * @throws DeviceError DEVICE_USE_AFTER_DISPOSE
 */
export function streaming(
  tensor: Tensor,
  flopsPerElement: number,
  operands: readonly Tensor[],
): Work {
  assertLive(...operands);
  return { flops: flopsPerElement * tensor.size, bytes: bytesOf(...operands) };
}
