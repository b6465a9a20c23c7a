import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { rounded } from '../host-values.js';
import { layerNorm } from '../reference/layer-norm.js';

const epsilon = 1e-5;

interface Variant {
  readonly rows: number;
  readonly width: number;
  readonly layout?: Layout;
  readonly hasWeight?: boolean;
  readonly hasBias?: boolean;
  /** Of every row. */
  readonly mean?: number;
  readonly accumulate?: boolean;
  readonly overGradient?: boolean;
}

function inputs(fixture: Fixture, variant: Variant) {
  const { rows, width, hasWeight = true, hasBias = true, mean = 0 } = variant;
  const x = fixture
    .values([rows, width], { scale: 3 })
    .map((value) => rounded(mean + value, fixture.compute));
  const [weight, bias] = [fixture.values([width]), fixture.values([width])];
  return {
    x,
    parameters: {
      weight: hasWeight ? weight : null,
      bias: hasBias ? bias : null,
      width,
      epsilon,
    },
  };
}

async function checkForward(fixture: Fixture, variant: Variant): Promise<void> {
  const { rows, width, layout } = variant;
  const { x, parameters } = inputs(fixture, variant);
  const { weight, bias } = parameters;
  const expected = layerNorm(x, parameters);
  const [out, mean, inverseStd] = [
    fixture.output([rows, width]),
    fixture.output([rows], 'float32'),
    fixture.output([rows], 'float32'),
  ];
  fixture.device.kernels.layerNorm({
    x: fixture.tensor(x, [rows, width], { layout }),
    weight: weight && fixture.tensor(weight, [width], { layout }),
    bias: bias && fixture.tensor(bias, [width], { layout }),
    epsilon,
    out,
    mean,
    inverseStd,
  });
  await fixture.assertClose(out, expected.out, 'out');
  await fixture.assertClose(mean, expected.mean, 'mean');
  await fixture.assertClose(inverseStd, expected.inverseStd, 'inverseStd');
}

async function checkBackward(fixture: Fixture, variant: Variant): Promise<void> {
  const { rows, width, layout, accumulate = false, overGradient = false } = variant;
  const { x, parameters } = inputs(fixture, { ...variant, hasBias: false });
  const shape = [rows, width];
  const [dOut, before] = [fixture.values(shape), fixture.values(shape)];
  const { mean, inverseStd } = layerNorm(x, parameters);
  const gradient = fixture.tensor(dOut, shape, { layout });
  const fresh = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  const dX = overGradient ? gradient : fresh;
  fixture.device.kernels.layerNormBackward({
    dOut: gradient,
    x: fixture.tensor(x, shape, { layout }),
    weight: parameters.weight && fixture.tensor(parameters.weight, [width], { layout }),
    mean: fixture.tensor(mean, [rows], { dtype: 'float32', layout }),
    inverseStd: fixture.tensor(inverseStd, [rows], { dtype: 'float32', layout }),
    dX,
    accumulate,
  });
  const expected = numericGradient(x, () => dot(layerNorm(x, parameters).out, dOut));
  await fixture.assertClose(
    dX,
    expected.map((value, i) => value + (accumulate ? at(before, i) : 0)),
    'dX',
  );
}

export const layerNormCases: readonly CaseDefinition[] = [
  ...group('layerNorm', {
    'normalises rows of odd and even length': async (fixture) => {
      for (const width of [77, 96, 1]) await checkForward(fixture, { rows: 5, width });
    },
    'normalises long rows': async (fixture) => {
      for (const width of [2051, 4096]) await checkForward(fixture, { rows: 3, width });
    },
    'reads row views': (fixture) => checkForward(fixture, { rows: 5, width: 33, layout: 'rows' }),
    'takes no weight for all ones and no bias for zeros': async (fixture) => {
      for (const width of [33, 64]) {
        await checkForward(fixture, { rows: 4, width, hasWeight: false });
        await checkForward(fixture, { rows: 4, width, hasBias: false });
        await checkForward(fixture, { rows: 4, width, hasWeight: false, hasBias: false });
      }
    },
    'is exact for rows with a large mean': async (fixture) => {
      for (const width of [333, 512]) await checkForward(fixture, { rows: 4, width, mean: 1000 });
    },
  }),
  ...group('layerNormBackward', {
    'gives the gradient of finite differences': async (fixture) => {
      for (const width of [19, 64]) await checkBackward(fixture, { rows: 4, width });
    },
    'knows no weight': async (fixture) => {
      for (const width of [19, 64])
        await checkBackward(fixture, { rows: 4, width, hasWeight: false });
    },
    accumulates: async (fixture) => {
      for (const width of [33, 64])
        await checkBackward(fixture, { rows: 4, width, accumulate: true });
    },
    'may write over the gradient': (fixture) =>
      checkBackward(fixture, { rows: 4, width: 48, overGradient: true }),
    'reads row views': (fixture) => checkBackward(fixture, { rows: 3, width: 17, layout: 'rows' }),
    'is exact for rows with a large mean': (fixture) =>
      checkBackward(fixture, { rows: 3, width: 40, mean: 1000 }),
  }),
];
