import type { TensorHeader, TensorSink, TensorSource } from './tensor.js';

/** A tensor that lies in memory. `bytes` must not change until it is stored. */
export function memorySource(
  header: Omit<TensorHeader, 'byteLength'>,
  bytes: Uint8Array,
): TensorSource {
  return {
    ...header,
    byteLength: bytes.byteLength,
    read: (offsetBytes, target) =>
      target.set(bytes.subarray(offsetBytes, offsetBytes + target.length)),
  };
}

/** Writes into a buffer that the caller has allocated. */
export function memorySink(bytes: Uint8Array): TensorSink {
  return { write: (offsetBytes, part) => bytes.set(part, offsetBytes) };
}
