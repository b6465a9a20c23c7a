import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { rmsNorm } from '../reference/rms-norm.js';

const epsilon = 1e-5;

interface Gain {
  readonly weightOffset?: number;
  /** No weight: all ones. */
  readonly isPlain?: boolean;
}

function gainOf(fixture: Fixture, width: number, { isPlain }: Gain): Float64Array {
  return isPlain ? new Float64Array(width).fill(1) : fixture.values([width]);
}

async function checkForward(
  fixture: Fixture,
  rows: number,
  width: number,
  layout: Layout,
  gain: Gain = {},
): Promise<void> {
  const [x, weight] = [fixture.values([rows, width], { scale: 3 }), gainOf(fixture, width, gain)];
  const expected = rmsNorm(x, weight, epsilon, gain.weightOffset);
  const [out, inverseRms] = [fixture.output([rows, width]), fixture.output([rows], 'float32')];
  fixture.device.kernels.rmsNorm({
    x: fixture.tensor(x, [rows, width], { layout }),
    weight: gain.isPlain ? null : fixture.tensor(weight, [width], { layout }),
    weightOffset: gain.weightOffset,
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
    gain = {},
  }: { rows: number; width: number; accumulate?: boolean; layout?: Layout; gain?: Gain },
): Promise<void> {
  const shape = [rows, width];
  const [x, weight, dOut, before] = [
    fixture.values(shape, { scale: 2 }),
    gainOf(fixture, width, gain),
    fixture.values(shape),
    fixture.values(shape),
  ];
  const { weightOffset } = gain;
  const { inverseRms } = rmsNorm(x, weight, epsilon);
  const gradient = numericGradient(x, () =>
    dot(rmsNorm(x, weight, epsilon, weightOffset).out, dOut),
  );
  const dX = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  fixture.device.kernels.rmsNormBackward({
    dOut: fixture.tensor(dOut, shape, { layout }),
    x: fixture.tensor(x, shape, { layout }),
    weight: gain.isPlain ? null : fixture.tensor(weight, [width]),
    weightOffset,
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

async function checkOutputAgain(
  fixture: Fixture,
  width: number,
  weightOffset?: number,
): Promise<void> {
  const shape = [5, width];
  const [values, gains] = [fixture.values(shape, { scale: 2 }), fixture.values([width])];
  const [x, weight] = [fixture.tensor(values, shape), fixture.tensor(gains, [width])];
  const [out, again, dX, inverseRms] = [
    fixture.output(shape),
    fixture.output(shape),
    fixture.output(shape),
    fixture.output([5], 'float32'),
  ];
  fixture.device.kernels.rmsNorm({ x, weight, weightOffset, epsilon, out, inverseRms });
  const expected = await fixture.read(out);
  fixture.device.kernels.rmsNormBackward({
    dOut: fixture.tensor(fixture.values(shape), shape),
    x,
    weight,
    weightOffset,
    inverseRms,
    dX,
    out: again,
  });
  await fixture.assertClose(again, rmsNorm(values, gains, epsilon, weightOffset).out, 'out');
  await fixture.assertEqual(again, expected, 'out');
}

export const rmsNormCases: readonly CaseDefinition[] = [
  ...group('rmsNorm', {
    'normalises rows of odd length': (fixture) => checkForward(fixture, 13, 77, 'whole'),
    'reads row views': (fixture) => checkForward(fixture, 5, 33, 'rows'),
    'normalises long rows': (fixture) => checkForward(fixture, 3, 2051, 'whole'),
    'normalises rows of one element': (fixture) => checkForward(fixture, 4, 1, 'whole'),
    'adds an offset to the weight': async (fixture) => {
      for (const width of [77, 256])
        await checkForward(fixture, 5, width, 'whole', { weightOffset: 1 });
    },
    'normalises in place': async (fixture) => {
      for (const width of [33, 128]) {
        const x = fixture.values([5, width]);
        const [out, inverseRms] = [fixture.tensor(x, [5, width]), fixture.output([5], 'float32')];
        fixture.device.kernels.rmsNorm({ x: out, weight: null, epsilon, out, inverseRms });
        const expected = rmsNorm(x, new Float64Array(width).fill(1), epsilon);
        await fixture.assertClose(out, expected.out, 'out');
        await fixture.assertClose(inverseRms, expected.inverseRms, 'inverseRms');
      }
    },
    'takes no weight for all ones': async (fixture) => {
      for (const width of [33, 128])
        await checkForward(fixture, 5, width, 'rows', { isPlain: true });
    },
    'normalises heads: rows of another shape of the same memory': async (fixture) => {
      const [rows, heads, width] = [3, 4, 16];
      const [x, weight] = [fixture.values([rows * heads, width]), fixture.values([width])];
      const [out, inverseRms] = [
        fixture.output([rows, heads * width]),
        fixture.output([rows * heads], 'float32'),
      ];
      fixture.device.kernels.rmsNorm({
        x: fixture.tensor(x, [rows, heads * width]).reshape([rows * heads, width]),
        weight: fixture.tensor(weight, [width]),
        epsilon,
        out: out.reshape([rows * heads, width]),
        inverseRms,
      });
      await fixture.assertClose(out, rmsNorm(x, weight, epsilon).out, 'out');
    },
  }),
  ...group('rmsNormBackward', {
    'gives the gradient of finite differences': (fixture) =>
      checkBackward(fixture, { rows: 5, width: 19 }),
    "gives the forward's output once more, bit for bit": async (fixture) => {
      for (const width of [19, 64]) await checkOutputAgain(fixture, width);
      for (const width of [19, 64]) await checkOutputAgain(fixture, width, 1);
    },
    'reads row views': (fixture) => checkBackward(fixture, { rows: 3, width: 17, layout: 'rows' }),
    accumulates: (fixture) => checkBackward(fixture, { rows: 4, width: 33, accumulate: true }),
    'knows the offset, and no weight': async (fixture) => {
      for (const width of [19, 64]) {
        await checkBackward(fixture, { rows: 3, width, gain: { weightOffset: 1 } });
        await checkBackward(fixture, { rows: 3, width, gain: { isPlain: true } });
      }
    },
  }),
];
