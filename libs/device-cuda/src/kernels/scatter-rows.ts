import type { ScatterRowsOptions } from '@emloc/device';

import { expectDType, expectShape, rowsAndColumns, type CudaContext } from '../context.js';
import { launchRows, rowDTypes } from '../launch-rows.js';

export function scatterRows(context: CudaContext, { x, rows, out }: ScatterRowsOptions): void {
  const [count, columns] = rowsAndColumns('scatterRows', x);
  expectShape('scatterRows', out, [out.dim(0), columns]);
  expectShape('scatterRows', rows, [count]);
  expectDType('scatterRows', rowDTypes, x, out);
  launchRows(context, 'scatter-rows', { source: x, rows, out, count, columns });
}
