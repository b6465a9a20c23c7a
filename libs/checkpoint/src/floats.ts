import { bytesPerElement } from '@emloc/device';

/** Floating-point dtypes that weights are stored in and merged to. */
export type FloatDType = 'float32' | 'bfloat16' | 'float16';

/** Whether weights can be stored in a dtype. */
export function isFloat(dtype: string | undefined): dtype is FloatDType {
  return dtype === 'float32' || dtype === 'bfloat16' || dtype === 'float16';
}

/**
 * Widens little-endian values to float32: exact, NaN payloads included.
 * @param bytes row-major values of `dtype`, at any alignment; not kept.
 */
export function toFloat32(bytes: Uint8Array, dtype: FloatDType): Float32Array {
  const values = new Float32Array(Math.floor(bytes.byteLength / bytesPerElement[dtype]));
  widenInto(values, bytes, dtype);
  return values;
}

/** As `toFloat32`, into values that are there: as many as the bytes hold. */
export function widenInto(values: Float32Array, bytes: Uint8Array, dtype: FloatDType): void {
  const bits = bitsOf(values);
  if (dtype === 'float32') new Uint8Array(bits.buffer, bits.byteOffset, bytes.length).set(bytes);
  else if (dtype === 'bfloat16') widenBfloat16(halvesOf(bytes), bits);
  else widenFloat16(halvesOf(bytes), bits);
}

/**
 * Rounds to the nearest value of `dtype`, ties to even; NaN stays NaN, what is too large becomes
 * infinite. A copy, also for float32.
 */
export function fromFloat32(values: Float32Array, dtype: FloatDType): Uint8Array {
  const bytes = new Uint8Array(values.length * bytesPerElement[dtype]);
  narrowInto(bytes, values, dtype);
  return bytes;
}

/** As `fromFloat32`, into bytes that are there: at a multiple of the size of a value. */
export function narrowInto(bytes: Uint8Array, values: Float32Array, dtype: FloatDType): void {
  const bits = bitsOf(values);
  if (dtype === 'float32') bytes.set(new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength));
  else if (dtype === 'bfloat16') narrowToBfloat16(bits, viewOfHalves(bytes));
  else narrowToFloat16(bits, viewOfHalves(bytes));
}

// One loop per format, so that each is compiled for itself: these run over every weight of a model.

function widenBfloat16(halves: Uint16Array, bits: Uint32Array): void {
  for (let index = 0; index < halves.length; index += 1)
    bits[index] = (halves[index] as number) << 16;
}

function widenFloat16(halves: Uint16Array, bits: Uint32Array): void {
  float16Table ??= Uint32Array.from({ length: 1 << 16 }, (_, half) => bitsOfFloat16(half));
  const table = float16Table;
  for (let index = 0; index < halves.length; index += 1)
    bits[index] = table[halves[index] as number] as number;
}

function narrowToBfloat16(bits: Uint32Array, halves: Uint16Array): void {
  for (let index = 0; index < bits.length; index += 1)
    halves[index] = bfloat16OfBits(bits[index] as number);
}

function narrowToFloat16(bits: Uint32Array, halves: Uint16Array): void {
  for (let index = 0; index < bits.length; index += 1)
    halves[index] = float16OfBits(bits[index] as number);
}

/** float32 bits of every float16; filled at first use. */
let float16Table: Uint32Array | undefined;

/**
 * @throws RangeError where the processor is big-endian: typed arrays would be read the wrong way
 * round.
 */
function bitsOf(values: Float32Array): Uint32Array {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1)
    throw new RangeError('checkpoints need a little-endian processor');
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** A copy where bytes are at an odd place, or of an odd number. */
function halvesOf(bytes: Uint8Array): Uint16Array {
  return bytes.byteOffset % 2 === 0 && bytes.length % 2 === 0
    ? viewOfHalves(bytes)
    : new Uint16Array(new Uint8Array(bytes).buffer);
}

function viewOfHalves(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}

function bfloat16OfBits(bits: number): number {
  const isNaN = (bits & 0x7fffffff) > 0x7f800000;
  if (isNaN) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function bitsOfFloat16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function float16OfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | roundShift(magnitude - 0x38000000, 13);
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign;
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

/**
 * value / 2^shift, ties to even. A carry into the exponent is what rounding up to the next power of
 * two means.
 */
function roundShift(value: number, shift: number): number {
  const half = 1 << (shift - 1);
  const quotient = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  return rest > half || (rest === half && (quotient & 1) === 1) ? quotient + 1 : quotient;
}
