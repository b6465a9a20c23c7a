import type { Tensor } from '@emloc/device';

import { float32, float64 } from './memory.js';

/**
 * Works in float64 on a float32 or float64 tensor's values: on these themselves, or on a copy whose
 * values are rounded back afterwards.
 */
export async function widened<T>(
  tensor: Tensor,
  work: (values: Float64Array) => Promise<T>,
): Promise<T> {
  if (tensor.dtype === 'float64') return work(float64(tensor));
  const values = Float64Array.from(float32(tensor));
  const result = await work(values);
  float32(tensor).set(values);
  return result;
}

/** What the copy takes. */
export function widenedBytes(tensor: Tensor): number {
  return tensor.dtype === 'float64' ? 0 : tensor.size * 8;
}
