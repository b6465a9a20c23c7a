import { at } from '@emloc/checked';
import { DeviceError, type KernelName, type Tensor } from '@emloc/device';

import { expectDType, expectShape } from './context.js';

/** Lists that were found to belong to the first one. */
const checked = new WeakMap<readonly Tensor[], WeakSet<readonly Tensor[]>>();

/**
 * Lists of float32 tensors of the parameters' shapes, each checked once.
 * @throws DeviceError DEVICE_SHAPE_MISMATCH, DEVICE_DTYPE_MISMATCH
 */
export function expectLists(
  kernel: KernelName,
  parameters: readonly Tensor[],
  ...others: readonly (readonly Tensor[])[]
): void {
  const known = checked.get(parameters) ?? new WeakSet();
  checked.set(parameters, known);
  for (const list of [parameters, ...others].filter((candidate) => !known.has(candidate))) {
    if (list.length !== parameters.length) {
      throw new DeviceError(
        'DEVICE_SHAPE_MISMATCH',
        `cuda: ${kernel}: ${list.length} tensors for ${parameters.length} parameters`,
      );
    }
    list.forEach((tensor, index) => {
      expectShape(kernel, tensor, at(parameters, index).shape);
      expectDType(kernel, ['float32'], tensor);
    });
    known.add(list);
  }
}
