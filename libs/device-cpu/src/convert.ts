import { DeviceError, type DType, type HostDType } from '@emloc/device';

type Elements = Float32Array | Float64Array | Int32Array | Uint16Array;

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/**
 * Elements of an array in memory; copied first when its bytes are not aligned. float16 and bfloat16
 * come as their bits.
 */
export function elementsOf(bytes: Uint8Array, dtype: HostDType): Elements {
  const View = viewOf(dtype);
  const aligned = bytes.byteOffset % View.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new View(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / View.BYTES_PER_ELEMENT,
  );
}

function viewOf(dtype: HostDType) {
  if (dtype === 'float32') return Float32Array;
  if (dtype === 'float64') return Float64Array;
  return dtype === 'int32' ? Int32Array : Uint16Array;
}

/**
 * out = source, converted. bfloat16 is rounded to nearest even.
 * @throws DeviceError DEVICE_UNSUPPORTED for conversions to or from int32
 */
export function convert(source: Elements, from: HostDType, out: Elements, to: DType): void {
  if (from === to) return out.set(source);
  if (from === 'int32' || to === 'int32')
    throw new DeviceError('DEVICE_UNSUPPORTED', `cpu device: no conversion from ${from} to ${to}`);
  const isWide = to !== 'bfloat16';
  if (from === 'float16')
    return isWide ? widenFloat16(source, out) : roundEach(source, out, float16Value);
  if (from === 'bfloat16')
    return widenBfloat16(source as Uint16Array, out as Float32Array | Float64Array);
  if (isWide) return out.set(source);
  roundEach(source, out, (value) => value);
}

/** bfloat16 bits are the upper half of a float32's. */
function widenBfloat16(source: Uint16Array, out: Float32Array | Float64Array): void {
  if (out instanceof Float32Array) {
    const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < source.length; i += 1) bits[i] = (source[i] as number) << 16;
    return;
  }
  for (let i = 0; i < source.length; i += 1) {
    wordBits[0] = (source[i] as number) << 16;
    out[i] = word[0] as number;
  }
}

let float16Table: Float32Array | undefined;

/** All 65,536 values: a look-up is several times faster than taking the bits apart. */
function float16Values(): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
  return float16Table;
}

function widenFloat16(source: Elements, out: Elements): void {
  const values = float16Values();
  for (let i = 0; i < source.length; i += 1) out[i] = values[source[i] as number] as number;
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of mantissa. */
function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function roundEach(source: Elements, out: Elements, valueOf: (element: number) => number): void {
  for (let i = 0; i < source.length; i += 1) {
    word[0] = valueOf(source[i] as number);
    out[i] = bfloat16Bits(wordBits[0] as number);
  }
}

/** Round to nearest even; NaN stays a (quiet) NaN. */
function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
