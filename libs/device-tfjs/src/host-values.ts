import type { Tensor } from '@emloc/device';

import type { TfjsContext } from './context.js';

export async function hostValues(
  { tf, memory }: TfjsContext,
  tensor: Tensor,
): Promise<Float64Array> {
  const value = tf.tidy(() => memory.float32(tensor));
  try {
    return Float64Array.from(await value.data());
  } finally {
    value.dispose();
  }
}

export function writeBack({ memory }: TfjsContext, tensor: Tensor, values: Float64Array): void {
  memory.upload(tensor, { bytes: new Uint8Array(values.buffer), dtype: 'float64' });
}
