import type { AddBiasOptions } from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { floats } from '../memory.js';

export function addBias({ bias, out }: AddBiasOptions): void {
  const [rows, width] = matrix('addBias', out);
  assertShape('addBias', bias, [width]);
  const [source, target] = [floats(bias), floats(out)];
  for (let row = 0, i = 0; row < rows; row += 1) {
    for (let column = 0; column < width; column += 1, i += 1)
      target[i] = (target[i] as number) + (source[column] as number);
  }
}
