import {
  assertPatches,
  bytesPerElement,
  DeviceError,
  type GatherPatchesOptions,
} from '@emloc/device';

import { blockFor } from '../block-for.js';
import { addressOf, expectDType, type CudaContext } from '../context.js';
import { isWide, wideCount } from '../wide.js';

/** Shared memory that every card gives a block unasked. */
const sharedLimit = 48 * 1024;

export function gatherPatches(context: CudaContext, options: GatherPatchesOptions): void {
  assertPatches('cuda: gatherPatches', options);
  const { x, height, width, size, stride, before, upsample = 1, outWidth, first, out } = options;
  const dtype = expectDType('gatherPatches', ['float32', 'bfloat16'] as const, x, out);
  const channels = x.dim(1);
  const elementBytes = bytesPerElement[dtype];
  // Taps lie apart by a little more than the channels, so that those of a channel are in other banks.
  const tapStride = channels + 4 / elementBytes;
  const sharedBytes = size * size * tapStride * elementBytes;
  if (sharedBytes > sharedLimit)
    throw new DeviceError(
      'DEVICE_UNSUPPORTED',
      `cuda: gatherPatches: ${size} x ${size} pixels of ${channels} channels take ${sharedBytes} bytes, at most ${sharedLimit}`,
    );
  const [source, target] = [addressOf(context, x), addressOf(context, out)];
  const count = isWide(channels, wideCount(dtype), source, target) ? wideCount(dtype) : 1;
  context.launcher
    .begin()
    .pointer(source)
    .pointer(target)
    .int32(height)
    .int32(width)
    .int32(channels)
    .int32(size)
    .int32(stride)
    .int32(before)
    .int32(upsample)
    .int32(outWidth)
    .pointer(first)
    .int32(tapStride)
    .launch('gather-patches', `gather_patches_${dtype}${count > 1 ? '_wide' : ''}`, {
      grid: [out.dim(0)],
      block: blockFor(channels * size * size, count, 256),
      sharedBytes,
    });
}
