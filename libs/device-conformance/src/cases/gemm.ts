import assert from 'node:assert/strict';
import { at } from '@emloc/checked';
import { type DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { addBias } from '../reference/add-bias.js';
import { gemm, type GemmShape } from '../reference/gemm.js';

interface Variant extends GemmShape {
  readonly alpha?: number;
  readonly accumulate?: boolean;
  readonly layout?: Layout;
  readonly dtype?: DType;
  readonly outDType?: DType;
}

async function check(fixture: Fixture, variant: Variant): Promise<void> {
  const {
    m,
    n,
    k,
    transposeA,
    transposeB,
    alpha,
    accumulate,
    layout,
    dtype = fixture.compute,
    outDType = dtype,
  } = variant;
  const [aShape, bShape] = [transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]];
  const [a, b, before] = [
    fixture.values(aShape, { dtype }),
    fixture.values(bShape, { dtype }),
    fixture.values([m, n], { dtype: outDType }),
  ];
  const out = accumulate
    ? fixture.tensor(before, [m, n], { dtype: outDType })
    : fixture.output([m, n], outDType);
  fixture.device.kernels.gemm({
    a: fixture.tensor(a, aShape, { dtype, layout }),
    b: fixture.tensor(b, bShape, { dtype, layout }),
    out,
    transposeA,
    transposeB,
    alpha,
    accumulate,
  });
  const product = gemm(a, b, variant);
  await fixture.assertClose(
    out,
    product.map((value, i) => (accumulate ? at(before, i) : 0) + (alpha ?? 1) * value),
    'out',
  );
}

async function checkBias(fixture: Fixture, variant: Variant): Promise<void> {
  const { m, n, k, transposeB, accumulate } = variant;
  const bShape = transposeB ? [n, k] : [k, n];
  const [a, b] = [fixture.values([m, k]), fixture.values(bShape)];
  const [before, bias] = [fixture.values([m, n]), fixture.values([n])];
  const out = accumulate ? fixture.tensor(before, [m, n]) : fixture.output([m, n]);
  fixture.device.kernels.gemm({
    a: fixture.tensor(a, [m, k]),
    b: fixture.tensor(b, bShape),
    ...{ out, transposeB, accumulate, bias: fixture.tensor(bias, [n]) },
  });
  const sums = addBias(gemm(a, b, variant), bias);
  await fixture.assertClose(
    out,
    sums.map((value, i) => (accumulate ? at(before, i) : 0) + value),
    'out',
  );
}

const odd = { m: 37, n: 53, k: 29 };

export const gemmCases: readonly CaseDefinition[] = group('gemm', {
  'multiplies odd sizes': (fixture) => check(fixture, odd),
  'transposes a': (fixture) => check(fixture, { ...odd, transposeA: true }),
  'transposes b': (fixture) => check(fixture, { ...odd, transposeB: true }),
  'transposes both': (fixture) => check(fixture, { ...odd, transposeA: true, transposeB: true }),
  'adds a bias to every row': async (fixture) => {
    await checkBias(fixture, odd);
    await checkBias(fixture, { m: 64, n: 128, k: 96, transposeB: true });
    await checkBias(fixture, { m: 64, n: 128, k: 96, transposeB: true, accumulate: true });
    await checkBias(fixture, { m: 1, n: 256, k: 8, transposeB: true });
  },
  'applies alpha': (fixture) => check(fixture, { ...odd, alpha: -0.375 }),
  'accumulates alpha times the product': (fixture) =>
    check(fixture, { ...odd, alpha: 1.5, accumulate: true }),
  'accumulates transposed products': (fixture) =>
    check(fixture, { ...odd, transposeA: true, accumulate: true }),
  'reads row views': (fixture) => check(fixture, { ...odd, layout: 'rows' }),
  'reads transposed row views': (fixture) =>
    check(fixture, { ...odd, transposeA: true, transposeB: true, layout: 'rows' }),
  'multiplies sizes past every block': async (fixture) => {
    await check(fixture, { m: 131, n: 261, k: 517 });
    await check(fixture, {
      m: 131,
      n: 261,
      k: 517,
      transposeA: true,
      transposeB: true,
      accumulate: true,
    });
  },
  'multiplies single rows, columns and inner extents': async (fixture) => {
    for (const shape of [
      { m: 1, n: 7, k: 5 },
      { m: 7, n: 1, k: 5 },
      { m: 7, n: 5, k: 1 },
      { m: 1, n: 1, k: 1 },
    ]) {
      await check(fixture, shape);
      await check(fixture, { ...shape, transposeA: true, transposeB: true, accumulate: true });
    }
  },
  'multiplies by narrow matrices of low rank': async (fixture) => {
    await check(fixture, { m: 61, n: 8, k: 120, transposeB: true });
    await check(fixture, { m: 120, n: 8, k: 61, transposeA: true, accumulate: true });
  },
  'multiplies in the statistics dtype': async (fixture) => {
    const dtype = fixture.statistics;
    await check(fixture, { ...odd, dtype, transposeB: true });
    await check(fixture, { ...odd, dtype, transposeA: true, accumulate: true, alpha: 2 });
  },
  'multiplies float32': (fixture) => check(fixture, { ...odd, dtype: 'float32', transposeB: true }),
  'sums into float32 from the compute dtype': (fixture) =>
    check(fixture, { ...odd, outDType: 'float32', transposeA: true, accumulate: true }),
  'leaves nothing to do for empty results': async (fixture) => {
    const [a, b] = [fixture.tensor([], [0, 3]), fixture.tensor(fixture.values([3, 4]), [3, 4])];
    const out = fixture.output([0, 4]);
    fixture.device.kernels.gemm({ a, b, out });
    assert.equal((await fixture.read(out)).length, 0);
  },
  'gives zeros, or what was there, for an empty inner extent': async (fixture) => {
    const [a, b] = [fixture.tensor([], [3, 0]), fixture.tensor([], [0, 2])];
    const [out, kept] = [fixture.output([3, 2]), fixture.tensor([1, 2, 3, 4, 5, 6], [3, 2])];
    fixture.device.kernels.gemm({ a, b, out });
    fixture.device.kernels.gemm({ a, b, out: kept, accumulate: true });
    await fixture.assertEqual(out, [0, 0, 0, 0, 0, 0], 'out');
    await fixture.assertEqual(kept, [1, 2, 3, 4, 5, 6], 'accumulated');
  },
  'passes NaN on to the rows that it is in': async (fixture) => {
    const out = fixture.output([2, 2]);
    fixture.device.kernels.gemm({
      a: fixture.tensor([Number.NaN, 1, 1, 1], [2, 2]),
      b: fixture.tensor([1, 2, 3, 4], [2, 2]),
      out,
    });
    await fixture.assertEqual(out, [Number.NaN, Number.NaN, 4, 6], 'out');
  },
});
