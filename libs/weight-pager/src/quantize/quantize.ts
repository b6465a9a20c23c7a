import { setImmediate } from 'node:timers/promises';
import {
  fromFloat16,
  quantizedBlock,
  quantizedLayout,
  type HostArray,
  type QuantizedFormat,
} from '@emloc/device';

import { quantizeKernels } from './wasm.js';

/** Numbers that go through the memory of WebAssembly at once: whole blocks. */
const chunkNumbers = 2 ** 14;

/** Numbers that are quantised before others have their turn in this thread: whole chunks. */
const turnNumbers = 2 ** 22;

/**
 * Writes numbers as codes and scales, as QuantizedFormat says: equal bytes for equal numbers.
 * Division, rounding to even and comparison are in float32. A block with a number that is not
 * finite has such a scale.
 *
 * @param source float32, bfloat16, float16 or float64
 * @param destination as long as the layout of so many numbers; aligned to 4 bytes
 * @throws (rejects) DeviceError DEVICE_UNAVAILABLE without WebAssembly SIMD
 */
export async function quantize(
  source: HostArray,
  format: QuantizedFormat,
  destination: Uint8Array,
): Promise<void> {
  const { length, load } = numbersOf(source);
  const { codeWords, blocks } = quantizedLayout(length, format);
  const codes = destination.subarray(0, codeWords * 4);
  const scales = destination.subarray(codes.length, codes.length + blocks * 4);
  codes.fill(0, Math.max(0, codes.length - 4));
  const chunk = new Chunk(format);
  for (let start = 0; start < length; start += chunkNumbers) {
    if (start > 0 && start % turnNumbers === 0) await setImmediate();
    const count = Math.min(chunkNumbers, length - start);
    load(start, count, chunk);
    chunk.quantize(count);
    codes.set(chunk.codesOf(count), start / chunk.codesPerByte);
    scales.set(chunk.scalesOf(count), (4 * start) / quantizedBlock);
  }
}

/** Where chunks lie: behind the page of WebAssembly's own data. */
const places = Object.freeze({
  narrow: 2 ** 16,
  values: 2 ** 16 + 2 * chunkNumbers,
  codes: 2 ** 16 + 6 * chunkNumbers,
  scales: 2 ** 16 + 7 * chunkNumbers,
  end: 2 ** 16 + 8 * chunkNumbers,
});

/** Numbers on their way through the memory of WebAssembly; no turn ends while they are there. */
class Chunk {
  readonly codesPerByte: 1 | 2;
  /** For bfloat16. */
  readonly narrow: Uint16Array;
  readonly values: Float32Array;
  readonly #kernels = quantizeKernels();
  readonly #bytes: Uint8Array;
  readonly #run;

  constructor(format: QuantizedFormat) {
    const { memory, quantizeInt8, quantizeNf4 } = this.#kernels;
    const missing = places.end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 2 ** 16));
    this.codesPerByte = format === 'int8' ? 1 : 2;
    this.#run = format === 'int8' ? quantizeInt8 : quantizeNf4;
    this.#bytes = new Uint8Array(memory.buffer);
    this.narrow = new Uint16Array(memory.buffer, places.narrow, chunkNumbers);
    this.values = new Float32Array(memory.buffer, places.values, chunkNumbers);
  }

  /** Makes the first numbers of `narrow` those of `values`. */
  widen(count: number): void {
    this.#kernels.widen(places.narrow, Math.ceil(count / 8) * 8, places.values);
  }

  /** What is behind the numbers in their last block counts as 0. */
  quantize(count: number): void {
    const whole = Math.ceil(count / quantizedBlock) * quantizedBlock;
    this.values.fill(0, count, whole);
    this.#run(places.values, whole, places.codes, places.scales);
    if (this.codesPerByte === 2 && count % 2 === 1)
      this.#bytes[places.codes + (count - 1) / 2] =
        (this.#bytes[places.codes + (count - 1) / 2] as number) & 15;
  }

  codesOf(count: number): Uint8Array {
    const bytes = Math.ceil(count / this.codesPerByte);
    return this.#bytes.subarray(places.codes, places.codes + bytes);
  }

  scalesOf(count: number): Uint8Array {
    const bytes = 4 * Math.ceil(count / quantizedBlock);
    return this.#bytes.subarray(places.scales, places.scales + bytes);
  }
}

/** Numbers of a dtype, which are loaded some at a time. */
interface Numbers {
  readonly length: number;
  load(start: number, count: number, chunk: Chunk): void;
}

function numbersOf({ bytes: { buffer, byteOffset, byteLength }, dtype }: HostArray): Numbers {
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
    load: (start, count, { values }) => values.set(source.subarray(start, start + count)),
  };
}

function bfloat16Numbers(source: Uint16Array): Numbers {
  return {
    length: source.length,
    load: (start, count, chunk) => {
      chunk.narrow.set(source.subarray(start, start + count));
      chunk.widen(count);
    },
  };
}

function float16Numbers(source: Uint16Array): Numbers {
  return {
    length: source.length,
    load: (start, count, { values }) => {
      for (let i = 0; i < count; i += 1) values[i] = fromFloat16(source[start + i] as number);
    },
  };
}
