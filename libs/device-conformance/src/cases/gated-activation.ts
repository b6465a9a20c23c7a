import type { GatedActivationKind } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { gatedActivation } from '../reference/gated-activation.js';

const shape = [7, 43];
/** For finite differences, narrow and wide accesses: they take the square of the elements. */
const few = [
  [3, 43],
  [2, 32],
];

interface Variant {
  readonly kind?: GatedActivationKind;
  readonly limit?: number;
}

/** A limit that no value equals, so that finite differences do not straddle it. */
const variants: readonly Variant[] = [
  { kind: 'gelu' },
  { kind: 'geluTanh' },
  { kind: 'sigmoid' },
  { kind: 'clampedSwiglu', limit: 2.3 },
  { kind: 'clampedSwiglu' },
];

async function checkForward(
  fixture: Fixture,
  size: readonly number[],
  layout: Layout,
  { kind = 'silu', limit }: Variant = {},
): Promise<void> {
  const [gate, up] = [
    fixture.values(size, { scale: 6 }),
    fixture.values(size, { scale: kind === 'clampedSwiglu' ? 6 : 1 }),
  ];
  const out = fixture.output(size);
  fixture.device.kernels.gatedActivation({
    gate: fixture.tensor(gate, size, { layout }),
    up: fixture.tensor(up, size, { layout }),
    kind,
    limit,
    out,
  });
  await fixture.assertClose(out, gatedActivation(gate, up, kind, limit), 'out');
}

async function checkBackward(
  fixture: Fixture,
  {
    size = shape,
    layout = 'whole',
    inPlace = false,
    kind = 'silu',
    limit,
  }: Variant & { size?: readonly number[]; layout?: Layout; inPlace?: boolean } = {},
): Promise<void> {
  const [gate, up, dOut] = [
    fixture.values(size, { scale: 6 }),
    fixture.values(size, { scale: kind === 'clampedSwiglu' ? 6 : 1 }),
    fixture.values(size),
  ];
  const [gateTensor, upTensor] = [
    fixture.tensor(gate, size, { layout }),
    fixture.tensor(up, size, { layout }),
  ];
  const [dGate, dUp] = inPlace
    ? [gateTensor, upTensor]
    : [fixture.output(size), fixture.output(size)];
  fixture.device.kernels.gatedActivationBackward({
    dOut: fixture.tensor(dOut, size, { layout }),
    gate: gateTensor,
    up: upTensor,
    kind,
    limit,
    dGate,
    dUp,
  });
  const loss = () => dot(gatedActivation(gate, up, kind, limit), dOut);
  await fixture.assertClose(dGate, numericGradient(gate, loss), 'dGate');
  await fixture.assertClose(dUp, numericGradient(up, loss), 'dUp');
}

async function checkOutputAgain(
  fixture: Fixture,
  { overGradient = false, kind = 'silu', limit }: Variant & { overGradient?: boolean } = {},
): Promise<void> {
  const [gate, up, dOut] = [
    fixture.values(shape, { scale: 6 }),
    fixture.values(shape),
    fixture.values(shape),
  ];
  const [gateTensor, upTensor] = [fixture.tensor(gate, shape), fixture.tensor(up, shape)];
  const gradient = fixture.tensor(dOut, shape);
  const [out, again] = [fixture.output(shape), overGradient ? gradient : fixture.output(shape)];
  const [dGate, dUp] = [fixture.output(shape), fixture.output(shape)];
  fixture.device.kernels.gatedActivation({ gate: gateTensor, up: upTensor, kind, limit, out });
  const expected = await fixture.read(out);
  fixture.device.kernels.gatedActivationBackward({
    dOut: gradient,
    gate: gateTensor,
    up: upTensor,
    kind,
    limit,
    dGate,
    dUp,
    out: again,
  });
  await fixture.assertClose(again, gatedActivation(gate, up, kind, limit), 'out');
  await fixture.assertClose(
    dGate,
    numericGradient(gate, () => dot(gatedActivation(gate, up, kind, limit), dOut)),
    'dGate',
  );
  await fixture.assertEqual(again, expected, 'out');
}

export const gatedActivationCases: readonly CaseDefinition[] = [
  ...group('gatedActivation', {
    'multiplies silu(gate) by up': (fixture) => checkForward(fixture, shape, 'whole'),
    'reads row views': (fixture) => checkForward(fixture, shape, 'rows'),
    'takes sizes past every chunk': (fixture) => checkForward(fixture, [31, 331], 'whole'),
    'multiplies every kind of activation of gate by up': async (fixture) => {
      for (const variant of variants) {
        await checkForward(fixture, shape, 'whole', variant);
        await checkForward(fixture, [8, 64], 'whole', variant);
      }
    },
    'stays finite for gates far from zero': async (fixture) => {
      const out = fixture.output([1, 4]);
      fixture.device.kernels.gatedActivation({
        gate: fixture.tensor([-200, 200, -80, 0], [1, 4]),
        up: fixture.tensor([1, 1, 1, 1], [1, 4]),
        kind: 'silu',
        out,
      });
      await fixture.assertClose(out, [0, 200, 0, 0], 'out');
    },
  }),
  ...group('gatedActivationBackward', {
    'gives the gradients of finite differences': async (fixture) => {
      for (const size of few) await checkBackward(fixture, { size });
    },
    'reads row views': (fixture) => checkBackward(fixture, { layout: 'rows' }),
    "gives the forward's output once more, bit for bit": (fixture) => checkOutputAgain(fixture),
    'may write it over the gradient': (fixture) =>
      checkOutputAgain(fixture, { overGradient: true }),
    'overwrites gate and up': (fixture) => checkBackward(fixture, { inPlace: true }),
    'gives the gradients of every kind': async (fixture) => {
      for (const variant of variants) {
        for (const size of few) await checkBackward(fixture, { ...variant, size, inPlace: true });
      }
    },
    'gives the output of every kind once more': async (fixture) => {
      for (const variant of variants)
        await checkOutputAgain(fixture, { ...variant, overGradient: true });
    },
  }),
];
