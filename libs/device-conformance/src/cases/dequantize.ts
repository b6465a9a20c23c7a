import assert from 'node:assert/strict';
import {
  nf4Values,
  quantizedFormats,
  quantizedLayout,
  type DType,
  type QuantizedFormat,
} from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dequantize, normalQuantiles, packed } from '../reference/dequantize.js';

interface Variant {
  readonly layout?: Layout;
  /** Default: the compute dtype. */
  readonly dtype?: DType;
  /** One for each 64 numbers; default: random ones. */
  readonly scales?: readonly number[];
}

/** Every code comes up, in a random order behind the first ones. */
function codesFor(fixture: Fixture, count: number, format: QuantizedFormat): number[] {
  const [least, most] = format === 'int8' ? [-127, 127] : [0, 15];
  const choices = most - least + 1;
  const drawn = fixture.indices(count, choices);
  return drawn.map((code, i) => least + (i < choices ? i : code));
}

async function check(
  fixture: Fixture,
  format: QuantizedFormat,
  shape: readonly number[],
  { layout, dtype = fixture.compute, scales: given }: Variant = {},
): Promise<void> {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const codes = codesFor(fixture, count, format);
  const blocks = Math.ceil(count / 64);
  const scales = given ?? [...fixture.values([blocks], { dtype: 'float32' })].map(Math.abs);
  const words = packed(codes, scales, format);
  const x = fixture.tensor(words, [words.length], { dtype: 'int32', layout });
  const out = fixture.output(shape, dtype);
  fixture.device.kernels.dequantize({ x, format, out });
  await fixture.assertClose(out, dequantize(codes, scales, format), `${format} ${shape.join('x')}`);
}

const everyFormat =
  (of: (fixture: Fixture, format: QuantizedFormat) => Promise<void>) =>
  async (fixture: Fixture) => {
    for (const format of quantizedFormats) await of(fixture, format);
  };

export const dequantizeCases: readonly CaseDefinition[] = group('dequantize', {
  'makes numbers of codes and scales, in whole blocks and others': everyFormat(
    async (fixture, format) => {
      for (const shape of [[8, 64], [5, 13], [64], [65], [1], [7, 9, 3], [130, 72]])
        await check(fixture, format, shape);
    },
  ),
  'makes float32 on every device': everyFormat(async (fixture, format) => {
    for (const shape of [
      [4, 32],
      [3, 11],
    ])
      await check(fixture, format, shape, { dtype: 'float32' });
  }),
  'has exact zeros, and blocks of nothing else': everyFormat(async (fixture, format) => {
    await check(fixture, format, [128], { scales: [0, 1] });
    const zeros = new Array<number>(64).fill(format === 'int8' ? 0 : 7);
    const words = packed(zeros, [3], format);
    const out = fixture.output([64]);
    const x = fixture.tensor(words, [words.length], { dtype: 'int32' });
    fixture.device.kernels.dequantize({ x, format, out });
    await fixture.assertEqual(out, new Float64Array(64), 'zeros');
  }),
  'takes scales of every size': everyFormat((fixture, format) =>
    check(fixture, format, [4, 64], { scales: [2 ** -100, 2 ** -20, 1, 2 ** 100] }),
  ),
  'reads views, and writes into views of rows': everyFormat(async (fixture, format) => {
    await check(fixture, format, [3, 40], { layout: 'rows' });
    const count = 5 * 24;
    const codes = codesFor(fixture, count, format);
    const words = packed(codes, [0.5, 2], format);
    const whole = fixture.output([9, 24]);
    fixture.device.kernels.dequantize({
      x: fixture.tensor(words, [words.length], { dtype: 'int32' }),
      format,
      out: whole.rows(3, 8),
    });
    const values = [...(await fixture.read(whole))];
    assert.deepEqual(
      values.map(Number.isNaN),
      values.map((_, i) => i < 3 * 24 || i >= 8 * 24),
      'what is around the view stays',
    );
    await fixture.assertClose(
      whole.rows(3, 8),
      dequantize(codes, [0.5, 2], format),
      `${format} into a view`,
    );
  }),
  'refuses words of another number of elements': everyFormat(async (fixture, format) => {
    const out = fixture.output([64]);
    const { words } = quantizedLayout(64, format);
    for (const count of [words - 1, words + 1]) {
      const x = fixture.tensor(new Int32Array(count), [count], { dtype: 'int32' });
      assert.throws(
        () => fixture.device.kernels.dequantize({ x, format, out }),
        (error: { code?: string }) => error.code === 'DEVICE_SHAPE_MISMATCH',
      );
    }
  }),
  'has the quantiles of the normal distribution': async (fixture) => {
    const expected = normalQuantiles();
    const words = packed(
      nf4Values.map((_, code) => code),
      [1],
      'nf4',
    );
    const x = fixture.tensor(words, [words.length], { dtype: 'int32' });
    const out = fixture.output([nf4Values.length], 'float32');
    fixture.device.kernels.dequantize({ x, format: 'nf4', out });
    await fixture.assertEqual(out, nf4Values, 'quantiles');
    await fixture.assertClose(out, expected, 'quantiles by definition');
  },
});
