import type { GatherRowsOptions } from '@emloc/device';

import { expectDType, expectShape, rowsAndColumns, type CudaContext } from '../context.js';
import { launchRows, rowDTypes } from '../launch-rows.js';

export function gatherRows(context: CudaContext, { table, rows, out }: GatherRowsOptions): void {
  const [count, columns] = rowsAndColumns('gatherRows', out);
  expectShape('gatherRows', table, [table.dim(0), columns]);
  expectShape('gatherRows', rows, [count]);
  expectDType('gatherRows', rowDTypes, table, out);
  launchRows(context, 'gather-rows', { source: table, rows, out, count, columns });
}
