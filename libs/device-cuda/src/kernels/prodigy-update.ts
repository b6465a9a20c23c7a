import type { ProdigyUpdateOptions } from '@emloc/device';

import { roundUp, withScratch, type CudaContext } from '../context.js';
import { expectLists } from '../tensor-lists.js';
import { chunkThreads, tableFor, withAddresses } from '../tensor-table.js';

/** Lists in the table. */
const operands = 3;

export function prodigyUpdateScratchBytes({ parameters }: ProdigyUpdateOptions): number {
  return roundUp(tableFor(parameters, operands).layout.totalBytes);
}

export function prodigyUpdate(
  context: CudaContext,
  { parameters, firstMoments, secondMoments, stepSize, epsilon, weightDecay }: ProdigyUpdateOptions,
): void {
  if (parameters.length === 0) return;
  expectLists('prodigyUpdate', parameters, firstMoments, secondMoments);
  const known = tableFor(parameters, operands);
  const { layout } = known;
  withScratch(context, layout.totalBytes, (table) => {
    const lists = [parameters, firstMoments, secondMoments];
    context.transfers.uploadTable(table, withAddresses(context, lists, known));
    context.launcher
      .begin()
      .pointer(table)
      .pointer(table + layout.sizes)
      .pointer(table + layout.chunks)
      .int32(parameters.length)
      .float32(stepSize)
      .float32(epsilon)
      .float32(1 - stepSize * weightDecay)
      .launch('prodigy-update', 'prodigy_update', {
        grid: [layout.chunkCount],
        block: chunkThreads,
      });
  });
}
