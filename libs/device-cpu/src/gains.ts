import type { KernelName, Tensor } from '@emloc/device';

import { assertShape } from './checks.js';
import { float32 } from './memory.js';
import type { Scratch } from './scratch.js';

/**
 * Address of what normalised values are multiplied with, float64: offset + weight, the weight null
 * for all ones.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH
 */
export function takeGains(
  scratch: Scratch,
  kernel: KernelName,
  { weight, width, offset = 0 }: { weight: Tensor | null; width: number; offset?: number },
): number {
  const address = scratch.take(width * 8);
  const gains = scratch.float64(address, width);
  if (!weight) {
    gains.fill(1 + offset);
    return address;
  }
  assertShape(kernel, weight, [width]);
  gains.set(float32(weight));
  if (offset !== 0) for (let i = 0; i < width; i += 1) gains[i] = (gains[i] as number) + offset;
  return address;
}
