import type { ProdigyMomentsOptions } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import { expectLists } from '../tensor-lists.js';
import { chunkThreads, tableFor, withAddresses } from '../tensor-table.js';

/** Lists in the table. */
const operands = 6;

export function prodigyMomentsScratchBytes({ parameters }: ProdigyMomentsOptions): number {
  return roundUp(layoutOf(parameters).bytes);
}

/** The table, with sums of chunks of a second kind behind those that it has room for. */
function layoutOf(parameters: ProdigyMomentsOptions['parameters']) {
  const known = tableFor(parameters, operands);
  const { totalBytes, chunkCount } = known.layout;
  return { known, magnitudes: totalBytes, bytes: totalBytes + chunkCount * 8 };
}

export function prodigyMoments(context: CudaContext, options: ProdigyMomentsOptions): void {
  const { parameters, gradients, starts, firstMoments, secondMoments, gradientSums } = options;
  const { squaredGradientNorms, alignments, magnitudes, distance } = options;
  const lists = [parameters, gradients, starts, firstMoments, secondMoments, gradientSums];
  if (parameters.length === 0) return;
  expectLists('prodigyMoments', parameters, ...lists.slice(1));
  for (const tensor of [squaredGradientNorms, alignments, magnitudes]) {
    expectShape('prodigyMoments', tensor, [parameters.length]);
    expectDType('prodigyMoments', ['float32'], tensor);
  }
  const { known, magnitudes: secondSums, bytes } = layoutOf(parameters);
  const { layout } = known;
  withScratch(context, bytes, (table) => {
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
      .float32(options.beta1)
      .float32(options.beta2)
      .float32(Math.sqrt(options.beta2))
      .float32(1 - options.beta1)
      .float32(1 - options.beta2)
      .float32(distance)
      .float32((distance * distance) / options.firstDistance)
      .pointer(table + layout.partial)
      .pointer(table + secondSums)
      .launch('prodigy-moments', 'prodigy_moments', {
        grid: [layout.chunkCount],
        block: chunkThreads,
      });
    for (const [partial, out] of [
      [layout.partial, alignments],
      [secondSums, magnitudes],
    ] as const)
      context.launcher
        .begin()
        .pointer(table + layout.first)
        .pointer(table + partial)
        .pointer(addressOf(context, out))
        .launch('squared-norms', 'squared_norm_totals', {
          grid: [parameters.length],
          block: 128,
        });
  });
}
