import { bytesPerElement, type Tensor } from '@emloc/device';

import { elementsOf } from './convert.js';

/** A tensor's memory as bytes. */
export function bytesOf(tensor: Tensor): Uint8Array {
  return new Uint8Array(
    tensor.handle as ArrayBuffer,
    tensor.elementOffset * bytesPerElement[tensor.dtype],
    tensor.byteLength,
  );
}

/** A tensor's memory as elements of its dtype; bfloat16 as bits. */
export function elements(tensor: Tensor) {
  return elementsOf(bytesOf(tensor), tensor.dtype);
}
