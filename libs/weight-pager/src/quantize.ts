import { setImmediate } from 'node:timers/promises';
import {
  nf4Values,
  quantizedBlock,
  quantizedLayout,
  type HostArray,
  type QuantizedFormat,
} from '@emloc/device';

/** Numbers that are quantised before others have their turn in this thread: whole blocks. */
const turnNumbers = 2 ** 20;

/**
 * Writes numbers as codes and scales, as QuantizedFormat says: equal bytes for equal numbers.
 * Division and comparison are in float64, scales rounded to float32. A block with a number that is
 * not finite has such a scale.
 *
 * @param source float32, bfloat16, float16 or float64
 * @param destination as long as the layout of so many numbers; aligned to 4 bytes
 */
export async function quantize(
  source: HostArray,
  format: QuantizedFormat,
  destination: Uint8Array,
): Promise<void> {
  const numbers = numbersOf(source);
  const { codeWords, blocks } = quantizedLayout(numbers.length, format);
  const { buffer, byteOffset } = destination;
  const codes = new Uint8Array(buffer, byteOffset, codeWords * 4);
  const scales = new Float32Array(buffer, byteOffset + codeWords * 4, blocks);
  // The last word may be used in part.
  codes.fill(0, Math.max(0, codes.length - 4));
  const write = format === 'int8' ? writeInt8 : writeNf4;
  for (let start = 0; start < numbers.length; start += turnNumbers) {
    if (start > 0) await setImmediate();
    const end = Math.min(start + turnNumbers, numbers.length);
    for (let from = start; from < end; from += loadedNumbers) {
      const count = Math.min(loadedNumbers, end - from);
      numbers.load(from, count, loaded);
      write(count, codes, scales, from);
    }
  }
}

/** Whole blocks that are made float32 at once: no turn ends between loading and reading them. */
const loadedNumbers = 64 * quantizedBlock;

/** The same memory as numbers and as their bits. */
interface Loaded {
  readonly values: Float32Array;
  readonly bits: Int32Array;
}

const loaded = loadedMemory(loadedNumbers);

function loadedMemory(count: number): Loaded {
  const values = new Float32Array(count);
  return { values, bits: new Int32Array(values.buffer) };
}

/** Numbers of a dtype, read some at a time. */
interface Numbers {
  readonly length: number;
  /** Writes `count` of them, from `start` on, as float32. */
  load(start: number, count: number, into: Loaded): void;
}

function numbersOf({ bytes, dtype }: HostArray): Numbers {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (dtype) {
    case 'bfloat16':
      return bfloat16Numbers(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'float16':
      return float16Numbers(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case 'float32':
      return plainNumbers(new Float32Array(buffer, byteOffset, byteLength / 4));
    case 'float64':
      return plainNumbers(new Float64Array(buffer, byteOffset, byteLength / 8));
    case 'int32':
      throw new TypeError('integers are not quantised');
  }
}

function plainNumbers(source: Float32Array | Float64Array): Numbers {
  return {
    length: source.length,
    load: (start, count, { values }) => {
      for (let i = 0; i < count; i += 1) values[i] = source[start + i] as number;
    },
  };
}

/** A bfloat16 is the upper half of a float32. */
function bfloat16Numbers(source: Uint16Array): Numbers {
  return {
    length: source.length,
    load: (start, count, { bits }) => {
      for (let i = 0; i < count; i += 1) bits[i] = (source[start + i] as number) << 16;
    },
  };
}

/** IEEE 754 binary16. */
function float16Numbers(source: Uint16Array): Numbers {
  return {
    length: source.length,
    load: (start, count, { values }) => {
      for (let i = 0; i < count; i += 1) values[i] = float16(source[start + i] as number);
    },
  };
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0
    ? sign * mantissa * 2 ** -24
    : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

/** A number and its bits. */
const single: Loaded = loadedMemory(1);

/** max |x|: magnitudes are in the order of their bits, above all what is no number. */
function largest(from: number, to: number): number {
  const { bits } = loaded;
  let most = 0;
  for (let i = from; i < to; i += 1) {
    const magnitude = (bits[i] as number) & 0x7fffffff;
    most = magnitude > most ? magnitude : most;
  }
  single.bits[0] = most;
  return single.values[0] as number;
}

/**
 * 1 over a scale; 0 for one of 0, whose block is zeros, or numbers so small that float32 has no
 * scale for them.
 */
function inverse(scale: number): number {
  return scale === 0 ? 0 : 1 / scale;
}

/** Writes the codes of what is loaded, `start` behind the first, and their scales. */
function writeInt8(count: number, codes: Uint8Array, scales: Float32Array, start: number): void {
  const { values } = loaded;
  for (let from = 0; from < count; from += quantizedBlock) {
    const to = Math.min(from + quantizedBlock, count);
    const scale = Math.fround(largest(from, to) / 127);
    scales[(start + from) / quantizedBlock] = scale;
    const factor = inverse(scale);
    for (let i = from; i < to; i += 1) {
      // Rounded down above 0, which is to the nearest. At most one too far, where a scale that
      // float32 holds with few digits is too small.
      const code = (((values[i] as number) * factor + 128.5) | 0) - 128;
      codes[start + i] = code > 127 ? 127 : code < -127 ? -127 : code;
    }
  }
}

/** Between code c and c + 1; a number in the middle has the lower code. */
const boundaries = Float64Array.from(nf4Values, (value, code) => {
  const next = nf4Values[code + 1];
  return next === undefined ? Number.POSITIVE_INFINITY : (value + next) / 2;
});

/** Cells that [−1, 1] is divided into: narrower than what is between two boundaries. */
const cells = 2 ** 11;

/** The code at the lower end of each cell. */
const codeAt = Uint8Array.from({ length: cells + 1 }, (_, cell) => {
  const value = cell / (cells / 2) - 1;
  return boundaries.filter((boundary) => value > boundary).length;
});

/** @param value in [−1, 1] */
function nearestCode(value: number): number {
  const code = codeAt[((value + 1) * (cells / 2)) | 0] as number;
  return value > (boundaries[code] as number) ? code + 1 : code;
}

/** Likewise, two codes a byte. */
function writeNf4(count: number, codes: Uint8Array, scales: Float32Array, start: number): void {
  const { values } = loaded;
  for (let from = 0; from < count; from += quantizedBlock) {
    const to = Math.min(from + quantizedBlock, count);
    const scale = largest(from, to);
    scales[(start + from) / quantizedBlock] = scale;
    const factor = Number.isFinite(scale) ? inverse(scale) : 0;
    for (let i = from; i < to; i += 2) {
      const low = nearestCode((values[i] as number) * factor);
      const high = i + 1 < to ? nearestCode((values[i + 1] as number) * factor) : 0;
      codes[(start + i) / 2] = low | (high << 4);
    }
  }
}
