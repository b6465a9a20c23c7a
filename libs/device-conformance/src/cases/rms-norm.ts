import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { rmsNorm } from '../reference/rms-norm.js';

const epsilon = 1e-5;

async function checkForward(
  fixture: Fixture,
  rows: number,
  width: number,
  layout: Layout,
): Promise<void> {
  const [x, weight] = [fixture.values([rows, width], { scale: 3 }), fixture.values([width])];
  const expected = rmsNorm(x, weight, epsilon);
  const [out, inverseRms] = [fixture.output([rows, width]), fixture.output([rows], 'float32')];
  fixture.device.kernels.rmsNorm({
    x: fixture.tensor(x, [rows, width], { layout }),
    weight: fixture.tensor(weight, [width], { layout }),
    epsilon,
    out,
    inverseRms,
  });
  await fixture.assertClose(out, expected.out, 'out');
  await fixture.assertClose(inverseRms, expected.inverseRms, 'inverseRms');
}

async function checkBackward(
  fixture: Fixture,
  {
    rows,
    width,
    accumulate = false,
    layout = 'whole',
  }: { rows: number; width: number; accumulate?: boolean; layout?: Layout },
): Promise<void> {
  const shape = [rows, width];
  const [x, weight, dOut, before] = [
    fixture.values(shape, { scale: 2 }),
    fixture.values([width]),
    fixture.values(shape),
    fixture.values(shape),
  ];
  const { inverseRms } = rmsNorm(x, weight, epsilon);
  const gradient = numericGradient(x, () => dot(rmsNorm(x, weight, epsilon).out, dOut));
  const dX = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  fixture.device.kernels.rmsNormBackward({
    dOut: fixture.tensor(dOut, shape, { layout }),
    x: fixture.tensor(x, shape, { layout }),
    weight: fixture.tensor(weight, [width]),
    inverseRms: fixture.tensor(inverseRms, [rows], { dtype: 'float32', layout }),
    dX,
    accumulate,
  });
  await fixture.assertClose(
    dX,
    gradient.map((value, i) => value + (accumulate ? at(before, i) : 0)),
    'dX',
  );
}

async function checkOutputAgain(fixture: Fixture, width: number): Promise<void> {
  const shape = [5, width];
  const [values, gains] = [fixture.values(shape, { scale: 2 }), fixture.values([width])];
  const [x, weight] = [fixture.tensor(values, shape), fixture.tensor(gains, [width])];
  const [out, again, dX, inverseRms] = [
    fixture.output(shape),
    fixture.output(shape),
    fixture.output(shape),
    fixture.output([5], 'float32'),
  ];
  fixture.device.kernels.rmsNorm({ x, weight, epsilon, out, inverseRms });
  const expected = await fixture.read(out);
  fixture.device.kernels.rmsNormBackward({
    dOut: fixture.tensor(fixture.values(shape), shape),
    x,
    weight,
    inverseRms,
    dX,
    out: again,
  });
  await fixture.assertClose(again, rmsNorm(values, gains, epsilon).out, 'out');
  await fixture.assertEqual(again, expected, 'out');
}

export const rmsNormCases: readonly CaseDefinition[] = [
  ...group('rmsNorm', {
    'normalises rows of odd length': (fixture) => checkForward(fixture, 13, 77, 'whole'),
    'reads row views': (fixture) => checkForward(fixture, 5, 33, 'rows'),
    'normalises long rows': (fixture) => checkForward(fixture, 3, 2051, 'whole'),
    'normalises rows of one element': (fixture) => checkForward(fixture, 4, 1, 'whole'),
  }),
  ...group('rmsNormBackward', {
    'gives the gradient of finite differences': (fixture) =>
      checkBackward(fixture, { rows: 5, width: 19 }),
    "gives the forward's output once more, bit for bit": async (fixture) => {
      for (const width of [19, 64]) await checkOutputAgain(fixture, width);
    },
    'reads row views': (fixture) => checkBackward(fixture, { rows: 3, width: 17, layout: 'rows' }),
    accumulates: (fixture) => checkBackward(fixture, { rows: 4, width: 33, accumulate: true }),
  }),
];
