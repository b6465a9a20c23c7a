import { at } from '@emloc/checked';
import {
  nf4Values,
  quantizedBits,
  quantizedFormats,
  quantizedLayout,
  type HostDType,
  type QuantizedFormat,
} from '@emloc/device';

import { decode } from '../../test/decode.js';
import { seededRandom } from '../../test/random.js';
import { quantize } from './quantize.js';

/** Numbers of very different blocks. */
function numbers(count: number, seed = 1): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, (_, i) => {
    const value = random() + random() + random() - 1.5;
    return value * 10 ** ((Math.floor(i / 64) % 7) - 3);
  });
}

async function quantized(
  values: Float32Array | Float64Array | Uint16Array,
  format: QuantizedFormat,
  dtype: HostDType = 'float32',
): Promise<Uint8Array> {
  const destination = new Uint8Array(quantizedLayout(values.length, format).words * 4).fill(255);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  await quantize({ bytes, dtype }, format, destination);
  return destination;
}

async function roundTrip(values: Float32Array, format: QuantizedFormat): Promise<Float32Array> {
  return decode(await quantized(values, format), values.length, format);
}

/** Of each block, max |x|. */
function largestOf(values: Float32Array): number[] {
  return Array.from({ length: Math.ceil(values.length / 64) }, (_, block) =>
    Math.max(...values.subarray(64 * block, 64 * block + 64).map(Math.abs)),
  );
}

test('takes 8.5 and 4.5 bits a number, in whole words', () => {
  expect(quantizedFormats.map(quantizedBits)).toEqual([8.5, 4.5]);
  expect(quantizedLayout(64, 'int8').words * 4).toBe(64 + 4);
  expect(quantizedLayout(64, 'nf4').words * 4).toBe(32 + 4);
  expect(quantizedLayout(65, 'nf4')).toEqual({ codeWords: 9, blocks: 2, words: 11 });
  expect(quantizedLayout(0, 'int8').words).toBe(0);
});

describe.each([1, 7, 63, 64, 65, 4096, 5001])('%i numbers', (count) => {
  const values = numbers(count);

  test('int8 is off by half a step of 127 at most', async () => {
    const found = await roundTrip(values, 'int8');
    const largest = largestOf(values);
    values.forEach((value, i) => {
      const step = at(largest, Math.floor(i / 64)) / 127;
      expect(Math.abs(value - at(found, i))).toBeLessThanOrEqual(0.5 * step * (1 + 1e-5));
    });
  });

  test('nf4 has the nearest of the 16 values, and the largest exactly', async () => {
    const found = await roundTrip(values, 'nf4');
    const largest = largestOf(values);
    values.forEach((value, i) => {
      const scale = at(largest, Math.floor(i / 64));
      const least = Math.min(...nf4Values.map((quantile) => Math.abs(value - scale * quantile)));
      expect(Math.abs(value - at(found, i))).toBeLessThanOrEqual(least + 1e-6 * scale);
      if (Math.abs(value) === scale) expect(at(found, i)).toBe(value);
    });
  });
});

test.each(quantizedFormats)('%s is the same again where nothing is lost', async (format) => {
  const once = await roundTrip(numbers(300), format);
  if (format === 'nf4') expect(await roundTrip(once, format)).toEqual(once);
  expect(await quantized(numbers(300), format)).toEqual(await quantized(numbers(300), format));
});

test.each(quantizedFormats)('%s reads every float dtype', async (format) => {
  const bfloat16 = Uint16Array.from(new Uint32Array(numbers(130).buffer), (bits) => bits >>> 16);
  const values = new Float32Array(Uint32Array.from(bfloat16, (bits) => bits << 16).buffer);
  const expected = await quantized(values, format);
  expect(await quantized(bfloat16, format, 'bfloat16')).toEqual(expected);
  expect(await quantized(Float64Array.from(values), format, 'float64')).toEqual(expected);
  const float16 = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x0001, 0x8000);
  const halves = Float32Array.of(1, -2, 0.333251953125, 2 ** -24, -0);
  expect(await quantized(float16, format, 'float16')).toEqual(await quantized(halves, format));
});

test.each(quantizedFormats)(
  '%s keeps zeros, and what is far too small or large',
  async (format) => {
    expect(await roundTrip(new Float32Array(70), format)).toEqual(new Float32Array(70));
    for (const value of [1e-45, 3e38]) {
      const [found] = await roundTrip(Float32Array.of(value, -value, 0), format);
      expect(Math.abs((found ?? Number.NaN) - value)).toBeLessThanOrEqual(
        Math.max(1e-45, 1e-6 * value),
      );
    }
  },
);

test.each(quantizedFormats)('%s hides no number that is not finite', async (format) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const values = numbers(128);
    values[70] = value;
    const found = await roundTrip(values, format);
    expect(Number.isFinite(at(found, 70))).toBe(false);
    expect(found.subarray(0, 64).every(Number.isFinite)).toBe(true);
  }
});
