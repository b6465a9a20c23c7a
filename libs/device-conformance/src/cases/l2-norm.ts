import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { l2Norm } from '../reference/l2-norm.js';

const epsilon = 1e-6;

interface Variant {
  readonly rows?: number;
  readonly heads?: number;
  readonly width?: number;
  readonly scale?: number;
  readonly layout?: Layout;
}

async function checkForward(
  fixture: Fixture,
  { rows = 5, heads = 3, width = 16, scale, layout = 'whole' }: Variant,
): Promise<void> {
  const shape = [rows, heads * width];
  const x = fixture.values(shape, { scale: 3 });
  const [out, inverseNorm] = [fixture.output(shape), fixture.output([rows, heads], 'float32')];
  fixture.device.kernels.l2Norm({
    x: fixture.tensor(x, shape, { layout }),
    ...{ heads, epsilon, scale, out, inverseNorm },
  });
  const expected = l2Norm(x, width, { epsilon, scale });
  await fixture.assertClose(out, expected.out, 'out');
  await fixture.assertClose(inverseNorm, expected.inverseNorm, 'inverseNorm');
}

async function checkBackward(
  fixture: Fixture,
  {
    rows = 3,
    heads = 2,
    width = 9,
    scale,
    layout = 'whole',
    accumulate = false,
  }: Variant & { readonly accumulate?: boolean },
): Promise<void> {
  const shape = [rows, heads * width];
  const x = fixture.values(shape, { scale: 2 });
  const [dOut, before] = [fixture.values(shape), fixture.values(shape)];
  const { inverseNorm } = l2Norm(x, width, { epsilon });
  const dX = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  fixture.device.kernels.l2NormBackward({
    dOut: fixture.tensor(dOut, shape, { layout }),
    x: fixture.tensor(x, shape, { layout }),
    inverseNorm: fixture.tensor(inverseNorm, [rows, heads], { dtype: 'float32' }),
    ...{ heads, scale, dX, accumulate },
  });
  const gradient = numericGradient(x, () => dot(l2Norm(x, width, { epsilon, scale }).out, dOut));
  const expected = gradient.map((value, i) => value + (accumulate ? at(before, i) : 0));
  await fixture.assertClose(dX, expected, 'dX');
}

export const l2NormCases: readonly CaseDefinition[] = [
  ...group('l2Norm', {
    'gives heads of length one': (fixture) => checkForward(fixture, {}),
    'gives heads of another length': (fixture) =>
      checkForward(fixture, { width: 128, heads: 2, scale: 128 ** -0.5 }),
    'reads row views, heads of odd length': (fixture) =>
      checkForward(fixture, { width: 7, layout: 'rows' }),
    'takes heads of one element and a single head': async (fixture) => {
      await checkForward(fixture, { width: 1 });
      await checkForward(fixture, { heads: 1, width: 300 });
    },
    'stays finite for a head of zeros': async (fixture) => {
      const out = fixture.output([1, 4]);
      const inverseNorm = fixture.output([1, 1], 'float32');
      const x = fixture.tensor([0, 0, 0, 0], [1, 4]);
      fixture.device.kernels.l2Norm({ x, heads: 1, epsilon, out, inverseNorm });
      await fixture.assertEqual(out, [0, 0, 0, 0], 'out');
    },
  }),
  ...group('l2NormBackward', {
    'gives the gradient of finite differences': (fixture) => checkBackward(fixture, {}),
    'knows the scale': (fixture) => checkBackward(fixture, { width: 16, scale: 0.25 }),
    'reads row views': (fixture) => checkBackward(fixture, { layout: 'rows' }),
    accumulates: (fixture) => checkBackward(fixture, { accumulate: true, scale: 0.5 }),
  }),
];
