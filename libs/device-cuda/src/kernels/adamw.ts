import type { AdamwOptions } from '@emloc/device';

import { addressOf, expectDType, roundUp, withScratch, type CudaContext } from '../context.js';
import { expectLists } from '../tensor-lists.js';
import { chunkThreads, tableFor, withAddresses } from '../tensor-table.js';

export function adamwScratchBytes({ parameters }: AdamwOptions): number {
  return roundUp(tableFor(parameters, 4).layout.totalBytes);
}

export function adamw(context: CudaContext, options: AdamwOptions): void {
  const {
    parameters,
    gradients,
    firstMoments,
    secondMoments,
    squaredGradientNorms,
    step,
    beta1,
    beta2,
  } = options;
  const lists = [parameters, gradients, firstMoments, secondMoments];
  if (parameters.length === 0) return;
  expectLists('adamw', parameters, gradients, firstMoments, secondMoments);
  expectDType('adamw', ['float32'], squaredGradientNorms);
  const known = tableFor(parameters, 4);
  const { layout } = known;
  withScratch(context, layout.totalBytes, (table) => {
    context.transfers.uploadTable(table, withAddresses(context, lists, known));
    context.launcher
      .begin()
      .pointer(table)
      .pointer(table + layout.sizes)
      .pointer(table + layout.chunks)
      .int32(parameters.length)
      .pointer(addressOf(context, squaredGradientNorms))
      .int32(squaredGradientNorms.size)
      .float32(options.maxGradientNorm)
      .float32(options.learningRate)
      .float32(beta1)
      .float32(beta2)
      .float32(1 - beta1)
      .float32(1 - beta2)
      .float32(options.epsilon)
      .float32(options.weightDecay)
      .float32(1 - beta1 ** step)
      .float32(1 - beta2 ** step)
      .launch('adamw', 'adamw', { grid: [layout.chunkCount], block: chunkThreads });
  });
}
