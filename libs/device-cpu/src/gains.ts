import type { KernelName, Tensor } from '@emloc/device';

import { assertShape } from './checks.js';
import { float32 } from './memory.js';

/**
 * What normalised values are multiplied with: offset + weight, the weight null for all ones.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH
 */
export function gainsOf(
  kernel: KernelName,
  weight: Tensor | null,
  width: number,
  offset = 0,
): Float64Array {
  if (!weight) return new Float64Array(width).fill(1 + offset);
  assertShape(kernel, weight, [width]);
  const gains = Float64Array.from(float32(weight));
  if (offset !== 0) for (let i = 0; i < width; i += 1) gains[i] = (gains[i] as number) + offset;
  return gains;
}
