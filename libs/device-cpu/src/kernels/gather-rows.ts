import { bytesPerElement, type GatherRowsOptions } from '@emloc/device';

import { matrix } from '../checks.js';
import { bytesOf } from '../elements.js';
import { checkRows } from '../row-indices.js';

/** Any dtype: rows are copied as bytes. */
export function gatherRows({ table, rows, out }: GatherRowsOptions): void {
  const [limit, width] = matrix('gatherRows', table);
  const indices = checkRows('gatherRows', { table, rows, packed: out }, limit, width);
  const [source, target] = [bytesOf(table), bytesOf(out)];
  const rowBytes = width * bytesPerElement[table.dtype];
  for (let i = 0; i < indices.length; i += 1) {
    const from = (indices[i] as number) * rowBytes;
    target.set(source.subarray(from, from + rowBytes), i * rowBytes);
  }
}
