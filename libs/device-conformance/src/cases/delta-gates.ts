import type { DType } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { deltaGates } from '../reference/delta-gates.js';

interface Variant {
  readonly rows?: number;
  readonly heads?: number;
  readonly scale?: number;
  readonly layout?: Layout;
  /** Of logDecay and offset. */
  readonly dtype?: DType;
}

function drawOperands(
  fixture: Fixture,
  { rows = 7, heads = 5, scale = 3, layout = 'whole', dtype = fixture.compute }: Variant,
) {
  const shape = [rows, heads];
  const values = {
    a: fixture.values(shape, { scale }),
    b: fixture.values(shape, { scale }),
    logDecay: fixture.values([heads], { scale: 2, dtype }),
    offset: fixture.values([heads], { scale: 2, dtype }),
  };
  const tensors = {
    a: fixture.tensor(values.a, shape, { layout }),
    b: fixture.tensor(values.b, shape, { layout }),
    logDecay: fixture.tensor(values.logDecay, [heads], { dtype }),
    offset: fixture.tensor(values.offset, [heads], { dtype }),
  };
  return { shape, values, tensors };
}

async function checkForward(fixture: Fixture, variant: Variant): Promise<void> {
  const { shape, values, tensors } = drawOperands(fixture, variant);
  const [decay, strength] = [fixture.output(shape, 'float32'), fixture.output(shape, 'float32')];
  fixture.device.kernels.deltaGates({ ...tensors, decay, strength });
  const expected = deltaGates(values);
  await fixture.assertClose(decay, expected.decay, 'decay');
  await fixture.assertClose(strength, expected.strength, 'strength');
}

async function checkBackward(fixture: Fixture, variant: Variant): Promise<void> {
  const { shape, values, tensors } = drawOperands(fixture, variant);
  const [dDecay, dStrength] = [
    fixture.values(shape, { dtype: 'float32' }),
    fixture.values(shape, { dtype: 'float32' }),
  ];
  const [dA, dB] = [fixture.output(shape), fixture.output(shape)];
  fixture.device.kernels.deltaGatesBackward({
    ...tensors,
    dDecay: fixture.tensor(dDecay, shape, { dtype: 'float32' }),
    dStrength: fixture.tensor(dStrength, shape, { dtype: 'float32' }),
    ...{ dA, dB },
  });
  const ofDecay = numericGradient(values.a, () => dot(deltaGates(values).decay, dDecay));
  const ofStrength = numericGradient(values.b, () => dot(deltaGates(values).strength, dStrength));
  await fixture.assertClose(dA, ofDecay, 'dA');
  await fixture.assertClose(dB, ofStrength, 'dB');
}

export const deltaGatesCases: readonly CaseDefinition[] = [
  ...group('deltaGates', {
    'gives decay and strength of every row and head': (fixture) => checkForward(fixture, {}),
    'reads row views': (fixture) => checkForward(fixture, { rows: 3, layout: 'rows' }),
    'takes parameters in float32': (fixture) => checkForward(fixture, { dtype: 'float32' }),
    'takes many rows': (fixture) => checkForward(fixture, { rows: 301, heads: 16 }),
    'stays finite far from zero': async (fixture) => {
      const [decay, strength] = [
        fixture.output([1, 4], 'float32'),
        fixture.output([1, 4], 'float32'),
      ];
      const a = fixture.tensor([-200, 200, 0, 64], [1, 4]);
      const zeros = fixture.tensor([0, 0, 0, 0], [4]);
      fixture.device.kernels.deltaGates({
        ...{ a, b: a, logDecay: zeros, offset: zeros, decay, strength },
      });
      await fixture.assertClose(decay, [0, -200, -Math.LN2, -64], 'decay');
      await fixture.assertClose(strength, [0, 1, 0.5, 1], 'strength');
    },
  }),
  ...group('deltaGatesBackward', {
    'gives the gradients of finite differences': (fixture) => checkBackward(fixture, {}),
    'reads row views': (fixture) => checkBackward(fixture, { rows: 3, layout: 'rows' }),
    'takes parameters in float32': (fixture) => checkBackward(fixture, { dtype: 'float32' }),
  }),
];
