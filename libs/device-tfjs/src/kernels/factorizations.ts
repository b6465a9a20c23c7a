import type { CholeskyOptions, EighOptions, Tensor } from '@emloc/device';
import { assertShape } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';

/** On the host in float64, rounded to float32 at the end. */
export async function eigh(context: TfjsContext, { a, values }: EighOptions): Promise<void> {
  assertShape('eigh', a, [values.size, values.size]);
  if (values.size === 0) return;
  const [vectors, spectrum] = [await hostValues(context, a), new Float64Array(values.size)];
  await context.factorizations.eigh(vectors, spectrum);
  writeBack(context, a, vectors);
  writeBack(context, values, spectrum);
}

/** As `eigh`. */
export async function cholesky(context: TfjsContext, { a }: CholeskyOptions): Promise<boolean> {
  const n = a.dim(0);
  assertShape('cholesky', a, [n, n]);
  if (n === 0) return true;
  const factor = await hostValues(context, a);
  if (!(await context.factorizations.cholesky(factor, n))) return false;
  for (let i = 0; i < n - 1; i += 1) factor.fill(0, i * n + i + 1, (i + 1) * n);
  writeBack(context, a, factor);
  return true;
}

async function hostValues({ tf, memory }: TfjsContext, tensor: Tensor): Promise<Float64Array> {
  const value = tf.tidy(() => memory.float32(tensor));
  try {
    return Float64Array.from(await value.data());
  } finally {
    value.dispose();
  }
}

function writeBack({ memory }: TfjsContext, tensor: Tensor, values: Float64Array): void {
  memory.upload(tensor, { bytes: new Uint8Array(values.buffer), dtype: 'float64' });
}
