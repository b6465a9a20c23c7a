import { at } from '@emloc/checked';
import { DeviceError, type AdamwOptions, type Tensor } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
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
  checkLists(parameters, gradients, firstMoments, secondMoments);
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

/** Lists that were found to belong to the first one. */
const checked = new WeakMap<readonly Tensor[], WeakSet<readonly Tensor[]>>();

function checkLists(
  parameters: readonly Tensor[],
  ...others: readonly (readonly Tensor[])[]
): void {
  const known = checked.get(parameters) ?? new WeakSet();
  checked.set(parameters, known);
  for (const list of [parameters, ...others].filter((candidate) => !known.has(candidate))) {
    if (list.length !== parameters.length) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `cuda: adamw: ${list.length} tensors for ${parameters.length} parameters`,
      );
    }
    list.forEach((tensor, index) => {
      expectShape('adamw', tensor, at(parameters, index).shape);
      expectDType('adamw', ['float32'], tensor);
    });
    known.add(list);
  }
}
