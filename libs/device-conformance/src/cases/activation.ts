import { at } from '@emloc/checked';
import type { ActivationKind } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { activation } from '../reference/activation.js';

const kinds: readonly ActivationKind[] = ['gelu', 'geluTanh', 'quickGelu', 'silu'];
const shape = [7, 43];
/** For finite differences, narrow and wide accesses: they take the square of the elements. */
const few = [
  [3, 43],
  [2, 32],
];

async function checkForward(
  fixture: Fixture,
  kind: ActivationKind,
  {
    size = shape,
    layout,
    inPlace = false,
  }: { size?: readonly number[]; layout?: Layout; inPlace?: boolean } = {},
): Promise<void> {
  const values = fixture.values(size, { scale: 6 });
  const x = fixture.tensor(values, size, { layout });
  const out = inPlace ? x : fixture.output(size);
  fixture.device.kernels.activation({ x, kind, out });
  await fixture.assertClose(out, activation(values, kind), kind);
}

async function checkBackward(
  fixture: Fixture,
  kind: ActivationKind,
  {
    size = shape,
    layout,
    accumulate = false,
    over,
  }: { size?: readonly number[]; layout?: Layout; accumulate?: boolean; over?: 'dOut' | 'x' } = {},
): Promise<void> {
  const [values, gradients, before] = [
    fixture.values(size, { scale: 6 }),
    fixture.values(size),
    fixture.values(size),
  ];
  const x = fixture.tensor(values, size, { layout });
  const dOut = fixture.tensor(gradients, size, { layout });
  const fresh = accumulate ? fixture.tensor(before, size) : fixture.output(size);
  const dX = over === undefined ? fresh : over === 'x' ? x : dOut;
  fixture.device.kernels.activationBackward({ dOut, x, kind, dX, accumulate });
  const expected = fixture.reference(() =>
    numericGradient(values, () => dot(activation(values, kind), gradients)),
  );
  await fixture.assertClose(
    dX,
    expected.map((value, i) => value + (accumulate ? at(before, i) : 0)),
    kind,
  );
}

export const activationCases: readonly CaseDefinition[] = [
  ...group('activation', {
    'activates every element': async (fixture) => {
      for (const kind of kinds) await checkForward(fixture, kind);
    },
    'activates in place': async (fixture) => {
      for (const kind of kinds) await checkForward(fixture, kind, { inPlace: true });
    },
    'reads row views': (fixture) => checkForward(fixture, 'gelu', { layout: 'rows' }),
    'takes sizes past every chunk': async (fixture) => {
      for (const size of [
        [31, 331],
        [64, 64],
        [1, 1],
      ])
        await checkForward(fixture, 'geluTanh', { size });
    },
    'stays finite far from zero': async (fixture) => {
      const values = Float64Array.of(-200, 200, -80, 0, -12, 12, -1e30, 1e30);
      for (const kind of kinds) {
        const out = fixture.output([1, 8]);
        fixture.device.kernels.activation({ x: fixture.tensor(values, [1, 8]), kind, out });
        await fixture.assertClose(out.reshape([8]), activation(values, kind), kind);
        await fixture.assertClose(out.reshape([8]).rows(0, 4), [0, 200, 0, 0], kind);
      }
    },
    'passes NaN on': async (fixture) => {
      for (const kind of kinds) {
        const out = fixture.output([1]);
        fixture.device.kernels.activation({ x: fixture.tensor([Number.NaN], [1]), kind, out });
        await fixture.assertEqual(out, [Number.NaN], kind);
      }
    },
  }),
  ...group('activationBackward', {
    'gives the gradient of finite differences': async (fixture) => {
      for (const kind of kinds)
        for (const size of few) await checkBackward(fixture, kind, { size });
    },
    accumulates: async (fixture) => {
      for (const kind of kinds) await checkBackward(fixture, kind, { accumulate: true });
    },
    'reads row views': (fixture) => checkBackward(fixture, 'gelu', { layout: 'rows' }),
    'may write over the gradient and over its input': async (fixture) => {
      for (const over of ['dOut', 'x'] as const) await checkBackward(fixture, 'gelu', { over });
    },
  }),
];
