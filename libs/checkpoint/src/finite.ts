import { CheckpointError, quoted } from './errors.js';
import { toFloat32, type FloatDType } from './floats.js';

/** Exponent bits of each value in a 32-bit word: one float32, or two halves. */
interface ExponentBits {
  readonly mask: number;
  /** Carries an exponent of all ones, and no other, into the value's sign bit. */
  readonly carry: number;
  readonly signs: number;
}

const exponents: Readonly<Record<FloatDType, ExponentBits>> = Object.freeze({
  float32: { mask: 0x7f800000, carry: 0x00800000, signs: 0x80000000 },
  bfloat16: { mask: 0x7f807f80, carry: 0x00800080, signs: 0x80008000 },
  float16: { mask: 0x7c007c00, carry: 0x04000400, signs: 0x80008000 },
});

/** Words between two looks at what was found: a block of them is in the cache when it is tested. */
const blockWords = 1 << 14;

/** Where values come from: a tensor, and the file that it is in. */
interface TensorPlace {
  readonly name: string;
  readonly file: string;
}

/**
 * @param bytes little-endian values of `dtype`, as they stand in the file
 * @throws CheckpointError CHECKPOINT_NOT_FINITE naming tensor, file and the first value that is NaN
 * or infinite.
 */
export function assertFinite(bytes: Uint8Array, dtype: FloatDType, place: TensorPlace): void {
  if (areFinite(bytes, dtype)) return;
  const values = toFloat32(bytes, dtype);
  const value = values.find((each) => !Number.isFinite(each));
  throw new CheckpointError(
    'CHECKPOINT_NOT_FINITE',
    `${quoted(place.name)} in ${place.file} holds ${String(value)}, which is not finite: get the file again, or leave this model or adapter`,
  );
}

/** Whether no value of a tensor is NaN or infinite: no exponent is all ones. */
function areFinite(bytes: Uint8Array, dtype: FloatDType): boolean {
  if (bytes.byteOffset % 4 !== 0) return areFinite(new Uint8Array(bytes), dtype);
  const count = Math.floor(bytes.byteLength / 4);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, count);
  const bits = exponents[dtype];
  for (let start = 0; start < count; start += blockWords) {
    const block = words.subarray(start, Math.min(count, start + blockWords));
    if ((carries(block, bits) & bits.signs) !== 0) return false;
  }
  const rest = bytes.subarray(4 * count);
  return rest.length === 0 || toFloat32(rest, dtype).every(Number.isFinite);
}

/** Four sums of carries side by side, so that none waits for another. */
function carries(words: Int32Array, { mask, carry }: ExponentBits): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = words.length - (words.length % 4);
  for (let index = 0; index < whole; index += 4) {
    a |= ((words[index] as number) & mask) + carry;
    b |= ((words[index + 1] as number) & mask) + carry;
    c |= ((words[index + 2] as number) & mask) + carry;
    d |= ((words[index + 3] as number) & mask) + carry;
  }
  for (let index = whole; index < words.length; index += 1)
    a |= ((words[index] as number) & mask) + carry;
  return a | b | c | d;
}
