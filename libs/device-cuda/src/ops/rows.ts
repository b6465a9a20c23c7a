import {
  bytesPerElement,
  type EmbeddingOptions,
  type ScatterRowsOptions,
  type Tensor,
} from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  rowsAndColumns,
  type CudaContext,
} from '../context.js';

const anyDType = ['float32', 'bfloat16', 'float64', 'int32'] as const;

export function embedding(context: CudaContext, { table, rows, out }: EmbeddingOptions): void {
  const [count, columns] = rowsAndColumns('embedding', out);
  expectShape('embedding', table, [table.dim(0), columns]);
  expectShape('embedding', rows, [count]);
  expectDType('embedding', anyDType, table, out);
  launchRows(context, 'embedding', { source: table, rows, out, count, columns });
}

export function scatterRows(context: CudaContext, { x, rows, out }: ScatterRowsOptions): void {
  const [count, columns] = rowsAndColumns('scatterRows', x);
  expectShape('scatterRows', out, [out.dim(0), columns]);
  expectShape('scatterRows', rows, [count]);
  expectDType('scatterRows', anyDType, x, out);
  launchRows(context, 'scatter_rows', { source: x, rows, out, count, columns });
}

interface RowCopy {
  readonly source: Tensor;
  readonly rows: Tensor;
  readonly out: Tensor;
  readonly count: number;
  readonly columns: number;
}

function launchRows(
  context: CudaContext,
  name: string,
  { source, rows, out, count, columns }: RowCopy,
): void {
  expectDType(name, ['int32'], rows);
  const [from, to] = [addressOf(context, source), addressOf(context, out)];
  const rowBytes = columns * bytesPerElement[source.dtype];
  const unit = [rowBytes, from, to].every((value) => value % 16 === 0) ? 16 : 2;
  context.launcher
    .begin()
    .pointer(from)
    .pointer(addressOf(context, rows))
    .pointer(to)
    .int32(rowBytes / unit)
    .launch('rows', `${name}_${unit}`, { grid: [count], block: rowBytes / unit > 128 ? 256 : 64 });
}
