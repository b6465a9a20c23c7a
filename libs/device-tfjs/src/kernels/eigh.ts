import type { EighOptions } from '@emloc/device';
import { assertShape } from '@emloc/device-cpu';

import type { TfjsContext } from '../context.js';
import { hostValues, writeBack } from '../host-values.js';

/** On the host in float64, rounded to float32 at the end. */
export async function eigh(context: TfjsContext, { a, values }: EighOptions): Promise<void> {
  assertShape('eigh', a, [values.size, values.size]);
  if (values.size === 0) return;
  const [vectors, spectrum] = [await hostValues(context, a), new Float64Array(values.size)];
  await context.factorizations.eigh(vectors, spectrum);
  writeBack(context, a, vectors);
  writeBack(context, values, spectrum);
}
