import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { doraGate } from '../reference/dora-gate.js';

interface Variant {
  readonly rows?: number;
  readonly columns?: number;
  readonly width?: number;
  readonly layout?: Layout;
}

function inputs(fixture: Fixture, { rows = 3, columns = 37, width = 50, layout }: Variant) {
  const float32 = { dtype: 'float32' } as const;
  const magnitude = fixture.values([columns], float32);
  const inverseRms = fixture.values([columns], float32).map((value) => 1.5 + value);
  const tensorOf = (values: Float64Array) =>
    fixture.tensor(values, [columns], { ...float32, layout });
  return { rows, columns, width, magnitude, inverseRms: inverseRms.map(Math.fround), tensorOf };
}

async function checkForward(fixture: Fixture, variant: Variant): Promise<void> {
  const { rows, columns, width, magnitude, inverseRms, tensorOf } = inputs(fixture, variant);
  const gate = fixture.output([rows, columns]);
  fixture.device.kernels.doraGate({
    magnitude: tensorOf(magnitude),
    inverseRms: tensorOf(inverseRms),
    width,
    gate,
  });
  await fixture.assertClose(gate, doraGate(magnitude, inverseRms, { rows, width }), 'gate');
}

async function checkBackward(fixture: Fixture, variant: Variant): Promise<void> {
  const { rows, columns, width, magnitude, inverseRms, tensorOf } = inputs(fixture, variant);
  const dGate = fixture.values([rows, columns]);
  const before = fixture.values([columns], { dtype: 'float32' });
  const dMagnitude = tensorOf(before);
  fixture.device.kernels.doraGateBackward({
    dGate: fixture.tensor(dGate, [rows, columns], { layout: variant.layout }),
    inverseRms: tensorOf(inverseRms),
    width,
    dMagnitude,
  });
  const loss = () => dot(doraGate(magnitude, inverseRms, { rows, width }), dGate);
  const expected = numericGradient(magnitude, loss).map((value, i) => value + at(before, i));
  await fixture.assertClose(dMagnitude, expected, 'dMagnitude');
}

export const doraGateCases: readonly CaseDefinition[] = [
  ...group('doraGate', {
    'says what a magnitude adds to a row of a weight, in every row': async (fixture) => {
      for (const columns of [37, 64, 1]) await checkForward(fixture, { columns });
    },
    'reads row views': (fixture) => checkForward(fixture, { layout: 'rows' }),
    'takes one row, and many columns': (fixture) =>
      checkForward(fixture, { rows: 1, columns: 3080 }),
    'gives exactly nothing where the magnitude is the norm': async (fixture) => {
      const float32 = { dtype: 'float32' } as const;
      const gate = fixture.output([2, 3]);
      fixture.device.kernels.doraGate({
        magnitude: fixture.tensor([2, 4, 8], [3], float32),
        inverseRms: fixture.tensor([2, 1, 0.5], [3], float32),
        width: 16,
        gate,
      });
      await fixture.assertClose(gate, [0, 0, 0, 0, 0, 0], 'gate');
    },
  }),
  ...group('doraGateBackward', {
    'adds the gradient of finite differences': async (fixture) => {
      for (const columns of [37, 64, 1]) await checkBackward(fixture, { columns });
    },
    'reads row views': (fixture) => checkBackward(fixture, { layout: 'rows' }),
    'sums many rows': (fixture) => checkBackward(fixture, { rows: 130, columns: 5 }),
  }),
];
