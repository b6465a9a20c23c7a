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
  if (dtype === 'float32') return new Float32Array(alignedCopy(bytes));
  const halves = new Uint16Array(alignedCopy(bytes));
  const bits = new Uint32Array(halves.length);
  if (dtype === 'bfloat16') widenBfloat16(halves, bits);
  else widenFloat16(halves, bits);
  return new Float32Array(bits.buffer);
}

/**
 * Rounds to the nearest value of `dtype`, ties to even; NaN stays NaN, what is too large becomes
 * infinite. A copy, also for float32.
 */
export function fromFloat32(values: Float32Array, dtype: FloatDType): Uint8Array {
  const bits = new Uint32Array(values.slice().buffer);
  if (dtype === 'float32') return new Uint8Array(bits.buffer);
  const halves = new Uint16Array(values.length);
  if (dtype === 'bfloat16') narrowToBfloat16(bits, halves);
  else narrowToFloat16(bits, halves);
  return new Uint8Array(halves.buffer);
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
function alignedCopy(bytes: Uint8Array): ArrayBuffer {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1)
    throw new RangeError('checkpoints need a little-endian processor');
  return new Uint8Array(bytes).buffer;
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
