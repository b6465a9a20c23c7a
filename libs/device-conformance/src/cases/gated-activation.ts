import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { gatedActivation } from '../reference/gated-activation.js';

const shape = [7, 43];

async function checkForward(
  fixture: Fixture,
  size: readonly number[],
  layout: Layout,
): Promise<void> {
  const [gate, up] = [fixture.values(size, { scale: 6 }), fixture.values(size)];
  const out = fixture.output(size);
  fixture.device.kernels.gatedActivation({
    gate: fixture.tensor(gate, size, { layout }),
    up: fixture.tensor(up, size, { layout }),
    kind: 'silu',
    out,
  });
  await fixture.assertClose(out, gatedActivation(gate, up), 'out');
}

async function checkBackward(
  fixture: Fixture,
  { layout = 'whole', inPlace = false }: { layout?: Layout; inPlace?: boolean } = {},
): Promise<void> {
  const [gate, up, dOut] = [
    fixture.values(shape, { scale: 6 }),
    fixture.values(shape),
    fixture.values(shape),
  ];
  const [gateTensor, upTensor] = [
    fixture.tensor(gate, shape, { layout }),
    fixture.tensor(up, shape, { layout }),
  ];
  const [dGate, dUp] = inPlace
    ? [gateTensor, upTensor]
    : [fixture.output(shape), fixture.output(shape)];
  fixture.device.kernels.gatedActivationBackward({
    dOut: fixture.tensor(dOut, shape, { layout }),
    gate: gateTensor,
    up: upTensor,
    kind: 'silu',
    dGate,
    dUp,
  });
  const loss = () => dot(gatedActivation(gate, up), dOut);
  await fixture.assertClose(dGate, numericGradient(gate, loss), 'dGate');
  await fixture.assertClose(dUp, numericGradient(up, loss), 'dUp');
}

async function checkOutputAgain(fixture: Fixture, { overGradient = false } = {}): Promise<void> {
  const [gate, up, dOut] = [
    fixture.values(shape, { scale: 6 }),
    fixture.values(shape),
    fixture.values(shape),
  ];
  const [gateTensor, upTensor] = [fixture.tensor(gate, shape), fixture.tensor(up, shape)];
  const gradient = fixture.tensor(dOut, shape);
  const [out, again] = [fixture.output(shape), overGradient ? gradient : fixture.output(shape)];
  const [dGate, dUp] = [fixture.output(shape), fixture.output(shape)];
  fixture.device.kernels.gatedActivation({ gate: gateTensor, up: upTensor, kind: 'silu', out });
  const expected = await fixture.read(out);
  fixture.device.kernels.gatedActivationBackward({
    dOut: gradient,
    gate: gateTensor,
    up: upTensor,
    kind: 'silu',
    dGate,
    dUp,
    out: again,
  });
  await fixture.assertClose(again, gatedActivation(gate, up), 'out');
  await fixture.assertClose(
    dGate,
    numericGradient(gate, () => dot(gatedActivation(gate, up), dOut)),
    'dGate',
  );
  await fixture.assertEqual(again, expected, 'out');
}

export const gatedActivationCases: readonly CaseDefinition[] = [
  ...group('gatedActivation', {
    'multiplies silu(gate) by up': (fixture) => checkForward(fixture, shape, 'whole'),
    'reads row views': (fixture) => checkForward(fixture, shape, 'rows'),
    'takes sizes past every chunk': (fixture) => checkForward(fixture, [31, 331], 'whole'),
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
    'gives the gradients of finite differences': (fixture) => checkBackward(fixture),
    'reads row views': (fixture) => checkBackward(fixture, { layout: 'rows' }),
    "gives the forward's output once more, bit for bit": (fixture) => checkOutputAgain(fixture),
    'may write it over the gradient': (fixture) =>
      checkOutputAgain(fixture, { overGradient: true }),
    'overwrites gate and up': (fixture) => checkBackward(fixture, { inPlace: true }),
  }),
];
