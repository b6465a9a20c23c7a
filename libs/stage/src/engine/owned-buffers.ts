import type { TensorRecord } from '@emloc/pipeline';

/**
 * Buffers of a record that can be moved to another thread: those that hold its tensors and nothing
 * else. The rest is copied.
 */
export function ownedBuffers({ tensors }: TensorRecord): readonly ArrayBuffer[] {
  const whole = tensors.filter(
    ({ bytes }) =>
      bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer,
  );
  return [...new Set(whole.map(({ bytes }) => bytes.buffer as ArrayBuffer))];
}
