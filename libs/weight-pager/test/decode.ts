import { at } from '@emloc/checked';
import { nf4Values, quantizedLayout, type QuantizedFormat } from '@emloc/device';

/** The numbers that words of codes and scales stand for, as float32. */
export function decode(bytes: Uint8Array, count: number, format: QuantizedFormat): Float32Array {
  const { codeWords, words } = quantizedLayout(count, format);
  const view = new DataView(bytes.buffer, bytes.byteOffset, words * 4);
  return Float32Array.from({ length: count }, (_, i) => {
    const scale = view.getFloat32(4 * (codeWords + Math.floor(i / 64)), true);
    if (format === 'int8') return scale * view.getInt8(i);
    const byte = view.getUint8(Math.floor(i / 2));
    return scale * at(nf4Values, i % 2 === 0 ? byte & 15 : byte >> 4);
  });
}
