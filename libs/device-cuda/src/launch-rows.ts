import { bytesPerElement, type Tensor } from '@emloc/device';

import { addressOf, expectDType, type CudaContext } from './context.js';

/** What rows may hold: they are copied as bytes. */
export const rowDTypes = ['float32', 'bfloat16', 'float64', 'int32'] as const;

interface RowCopy {
  readonly source: Tensor;
  readonly rows: Tensor;
  readonly out: Tensor;
  readonly count: number;
  readonly columns: number;
}

/** Copies whole rows from or to those that `rows` names. */
export function launchRows(
  context: CudaContext,
  unit: 'gather-rows' | 'scatter-rows',
  { source, rows, out, count, columns }: RowCopy,
): void {
  expectDType(unit, ['int32'], rows);
  const [from, to] = [addressOf(context, source), addressOf(context, out)];
  const rowBytes = columns * bytesPerElement[source.dtype];
  const bytes = [rowBytes, from, to].every((value) => value % 16 === 0) ? 16 : 2;
  context.launcher
    .begin()
    .pointer(from)
    .pointer(addressOf(context, rows))
    .pointer(to)
    .int32(rowBytes / bytes)
    .launch(unit, `${unit.replace('-', '_')}_${bytes}`, {
      grid: [count],
      block: rowBytes / bytes > 128 ? 256 : 64,
    });
}
