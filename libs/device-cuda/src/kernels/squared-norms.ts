import type { SquaredNormsOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import { chunkThreads, tableFor, withAddresses } from '../tensor-table.js';

export function squaredNormsScratchBytes({ tensors }: SquaredNormsOptions): number {
  return roundUp(tableFor(tensors, 1).layout.totalBytes);
}

export function squaredNorms(context: CudaContext, { tensors, out }: SquaredNormsOptions): void {
  expectShape('squaredNorms', out, [tensors.length]);
  expectDType('squaredNorms', ['float32'], out);
  const [head, ...others] = tensors;
  if (!head) return;
  const dtype = expectDType(
    'squaredNorms',
    ['float32', 'bfloat16', 'float64'] as const,
    head,
    ...others,
  );
  const known = tableFor(tensors, 1);
  const { layout } = known;
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, withAddresses(context, [tensors], known));
    context.launcher
      .begin()
      .pointer(table)
      .pointer(table + layout.sizes)
      .pointer(table + layout.chunks)
      .pointer(table + layout.partial)
      .launch('squared-norms', `squared_norm_chunks_${dtype}`, {
        grid: [layout.chunkCount],
        block: chunkThreads,
      });
    context.launcher
      .begin()
      .pointer(table + layout.first)
      .pointer(table + layout.partial)
      .pointer(addressOf(context, out))
      .launch('squared-norms', 'squared_norm_totals', { grid: [tensors.length], block: 128 });
  });
}
