import { bytesPerElement, type ScatterRowsOptions } from '@emloc/device';

import { matrix } from '../checks.js';
import { bytesOf } from '../elements.js';
import { checkRows } from '../row-indices.js';

/** Any dtype: rows are copied as bytes. */
export function scatterRows({ x, rows, out }: ScatterRowsOptions): void {
  const [limit, width] = matrix('scatterRows', out);
  const indices = checkRows('scatterRows', { table: out, rows, packed: x }, limit, width);
  const [source, target] = [bytesOf(x), bytesOf(out)];
  const rowBytes = width * bytesPerElement[x.dtype];
  for (let i = 0; i < indices.length; i += 1) {
    target.set(
      source.subarray(i * rowBytes, (i + 1) * rowBytes),
      (indices[i] as number) * rowBytes,
    );
  }
}
