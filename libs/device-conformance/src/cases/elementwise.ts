import assert from 'node:assert/strict';
import { at } from '@emloc/checked';
import { type DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { rounded } from '../host-values.js';
import { add, addBias, scale, squaredNorm } from '../reference/elementwise.js';

const shape = [9, 31];

async function checkAdd(
  fixture: Fixture,
  { alpha, layout, dtype = fixture.compute }: { alpha?: number; layout?: Layout; dtype?: DType },
): Promise<void> {
  const [x, before] = [fixture.values(shape, { dtype }), fixture.values(shape, { dtype })];
  const out = fixture.tensor(before, shape, { dtype });
  fixture.device.kernels.add({ x: fixture.tensor(x, shape, { dtype, layout }), out, alpha });
  await fixture.assertClose(out, add(before, x, alpha ?? 1), 'out');
}

async function checkScale(
  fixture: Fixture,
  {
    along,
    inPlace = false,
    layout,
    dtype = fixture.compute,
  }: { along: 'rows' | 'columns'; inPlace?: boolean; layout?: Layout; dtype?: DType },
): Promise<void> {
  const [rows, columns] = [at(shape, 0), at(shape, 1)];
  const length = along === 'rows' ? rows : columns;
  const [x, factors] = [fixture.values(shape, { dtype }), fixture.values([length], { dtype })];
  const tensor = fixture.tensor(x, shape, { dtype, layout });
  const out = inPlace ? tensor : fixture.output(shape, dtype);
  fixture.device.kernels.scale({
    x: tensor,
    scale: fixture.tensor(factors, [length], { dtype, layout }),
    along,
    out,
  });
  await fixture.assertClose(out, scale(x, factors, columns, along), 'out');
}

async function checkCast(fixture: Fixture, from: DType, to: DType, layout: Layout): Promise<void> {
  const special = [
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -1 - 2 ** -9,
    3e38,
  ];
  const values = [...fixture.values([31], { scale: 100, dtype: from }), ...special].map((value) =>
    rounded(value, from),
  );
  const [x, out] = [
    fixture.tensor(values, [values.length], { dtype: from, layout }),
    fixture.output([values.length], to),
  ];
  fixture.device.kernels.cast({ x, out });
  await fixture.assertEqual(
    out,
    values.map((value) => rounded(value, to)),
    `${from} to ${to}`,
  );
}

const floats: readonly DType[] = ['float32', 'bfloat16', 'float64'];

export const elementwiseCases: readonly CaseDefinition[] = [
  ...group('add', {
    adds: (fixture) => checkAdd(fixture, {}),
    'adds a multiple': (fixture) => checkAdd(fixture, { alpha: -2.5 }),
    'reads row views': (fixture) => checkAdd(fixture, { layout: 'rows' }),
    'adds in the statistics dtype': (fixture) =>
      checkAdd(fixture, { dtype: fixture.statistics, alpha: 0.5 }),
    'adds float32': (fixture) => checkAdd(fixture, { dtype: 'float32' }),
  }),
  ...group('addBias', {
    'adds a row to every row': async (fixture) => {
      for (const layout of ['whole', 'rows'] as const) {
        const [bias, before] = [fixture.values([31]), fixture.values(shape)];
        const out = fixture.tensor(before, shape);
        fixture.device.kernels.addBias({ bias: fixture.tensor(bias, [31], { layout }), out });
        await fixture.assertClose(out, addBias(before, bias), 'out');
      }
    },
  }),
  ...group('fill', {
    'fills every dtype': async (fixture) => {
      for (const dtype of [fixture.compute, fixture.statistics, 'float32', 'int32'] as const) {
        const out = fixture.output([3, 5], dtype);
        fixture.device.kernels.fill({ out, value: -2 });
        await fixture.assertEqual(out, new Array(15).fill(-2), dtype);
      }
    },
  }),
  ...group('cast', {
    'converts between all float dtypes, special values included': async (fixture) => {
      for (const from of floats)
        for (const to of floats) await checkCast(fixture, from, to, 'whole');
    },
    'reads row views': async (fixture) => {
      for (const from of floats) await checkCast(fixture, from, 'float32', 'rows');
    },
  }),
  ...group('scale', {
    'scales rows': (fixture) => checkScale(fixture, { along: 'rows' }),
    'scales columns': (fixture) => checkScale(fixture, { along: 'columns' }),
    'scales in place': (fixture) => checkScale(fixture, { along: 'columns', inPlace: true }),
    'reads row views': (fixture) => checkScale(fixture, { along: 'rows', layout: 'rows' }),
    'scales in the statistics dtype': async (fixture) => {
      await checkScale(fixture, { along: 'rows', dtype: fixture.statistics });
      await checkScale(fixture, { along: 'columns', dtype: fixture.statistics, inPlace: true });
    },
  }),
  ...group('squaredNorms', {
    'sums the squares of each tensor': async (fixture) => {
      const sizes = [1, 7, 4099, 70_001];
      const values = sizes.map((size) => fixture.values([size], { dtype: 'float32' }));
      const tensors = values.map((value, i) =>
        fixture.tensor(value, [value.length], {
          dtype: 'float32',
          layout: i === 2 ? 'rows' : 'whole',
        }),
      );
      const out = fixture.output([sizes.length], 'float32');
      fixture.device.kernels.squaredNorms({ tensors, out });
      const norms = await fixture.read(out);
      values.forEach((value, i) => {
        const expected = squaredNorm(value);
        assert.ok(
          Math.abs(at(norms, i) - expected) <= 1e-5 * expected,
          `norm ${i} is ${norms[i]}, expected ${expected}`,
        );
      });
    },
    'sums the compute dtype': async (fixture) => {
      const values = fixture.values([1037]);
      const out = fixture.output([1], 'float32');
      fixture.device.kernels.squaredNorms({ tensors: [fixture.tensor(values, [17, 61])], out });
      await fixture.assertClose(out, [squaredNorm(values)], 'norm');
    },
    'passes NaN and infinity through': async (fixture) => {
      const tensors = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map(
        (value) => fixture.tensor([1, value, 2], [3], { dtype: 'float32' }),
      );
      const out = fixture.output([3], 'float32');
      fixture.device.kernels.squaredNorms({ tensors, out });
      await fixture.assertEqual(
        out,
        [Number.NaN, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
        'norms',
      );
    },
    'is zero for an empty tensor': async (fixture) => {
      const out = fixture.output([1], 'float32');
      fixture.device.kernels.squaredNorms({
        tensors: [fixture.tensor([], [0, 4], { dtype: 'float32' })],
        out,
      });
      await fixture.assertEqual(out, [0], 'norm');
    },
  }),
];
