import {
  nf4Values,
  quantizedBlock,
  quantizedLayout,
  type DequantizeOptions,
  type QuantizedFormat,
} from '@emloc/device';

import { assertShape } from '../checks.js';
import { float32, int32 } from '../memory.js';

export function dequantize({ x, format, out }: DequantizeOptions): void {
  assertShape('dequantize', x, [quantizedLayout(out.size, format).words]);
  dequantizeWords(int32(x), format, float32(out));
}

/** @param words as the layout of as many numbers as `out` has says: codes, then scales */
export function dequantizeWords(
  words: Int32Array,
  format: QuantizedFormat,
  out: Float32Array,
): void {
  const { codeWords, blocks } = quantizedLayout(out.length, format);
  const codes = new Uint8Array(words.buffer, words.byteOffset, codeWords * 4);
  const scales = new Float32Array(words.buffer, words.byteOffset + codeWords * 4, blocks);
  const expand = format === 'int8' ? expandInt8 : expandNf4;
  for (let block = 0; block < blocks; block += 1) {
    const start = block * quantizedBlock;
    const end = Math.min(start + quantizedBlock, out.length);
    expand(codes, scales[block] as number, out, start, end);
  }
}

function expandInt8(
  codes: Uint8Array,
  scale: number,
  out: Float32Array,
  start: number,
  end: number,
): void {
  for (let i = start; i < end; i += 1) out[i] = scale * (((codes[i] as number) << 24) >> 24);
}

const quantiles = Float32Array.from(nf4Values);

function expandNf4(
  codes: Uint8Array,
  scale: number,
  out: Float32Array,
  start: number,
  end: number,
): void {
  for (let i = start; i < end; i += 1) {
    const code = ((codes[i >> 1] as number) >> ((i & 1) << 2)) & 15;
    out[i] = scale * (quantiles[code] as number);
  }
}
