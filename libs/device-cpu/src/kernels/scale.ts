import type { ScaleOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { floats } from '../memory.js';

export function scale({ x, scale: factors, along, out }: ScaleOptions): void {
  const [rows, width] = matrix('scale', x);
  assertShape('scale', out, x.shape);
  assertShape('scale', factors, [along === 'rows' ? rows : width]);
  const [source, values, target] = [floats(x), floats(factors), floats(out)];
  const [rowStep, columnStep] = along === 'rows' ? [1, 0] : [0, 1];
  for (let row = 0, i = 0; row < rows; row += 1) {
    let factor = row * rowStep;
    for (const end = i + width; i < end; i += 1, factor += columnStep)
      target[i] = (source[i] as number) * (values[factor] as number);
  }
}
