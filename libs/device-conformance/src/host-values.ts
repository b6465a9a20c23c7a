import { at } from '@emloc/checked';
import type { HostArray, HostDType } from '@emloc/device';

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/** Bits of the nearest bfloat16, ties to even; NaN becomes a quiet NaN. */
function toBfloat16Bits(value: number): number {
  word[0] = value;
  const bits = at(wordBits, 0);
  if (Number.isNaN(value)) return 0x7fc0;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

export function fromBfloat16Bits(bits: number): number {
  wordBits[0] = bits << 16;
  return at(word, 0);
}

/** What is left of a value in this element type. */
export function rounded(value: number, dtype: HostDType): number {
  if (dtype === 'bfloat16') return fromBfloat16Bits(toBfloat16Bits(value));
  return dtype === 'float32' ? Math.fround(value) : value;
}

/** Values as a host array; float16 is given as bits. */
export function hostArray(values: ArrayLike<number>, dtype: HostDType): HostArray {
  const elements = elementsFor(values, dtype);
  return {
    bytes: new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength),
    dtype,
  };
}

function elementsFor(values: ArrayLike<number>, dtype: HostDType) {
  switch (dtype) {
    case 'float32':
      return new Float32Array(values);
    case 'float64':
      return new Float64Array(values);
    case 'int32':
      return new Int32Array(values);
    case 'float16':
      return new Uint16Array(values);
    case 'bfloat16':
      return Uint16Array.from(values, toBfloat16Bits);
  }
}
