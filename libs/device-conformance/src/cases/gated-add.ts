import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { gatedAdd } from '../reference/gated-add.js';

interface Variant {
  readonly lengths?: readonly number[];
  readonly width?: number;
  readonly layout?: Layout;
  readonly accumulate?: boolean;
  readonly wantsGate?: boolean;
}

function inputs(fixture: Fixture, { lengths = [5, 1, 7], width = 43 }: Variant) {
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const [size, table] = [
    [rows, width],
    [lengths.length, width],
  ];
  return {
    lengths,
    size,
    table,
    x: fixture.values(size, { scale: 2 }),
    gate: fixture.values(table),
    before: fixture.values(size),
    sequences: fixture.sequences(lengths),
  };
}

async function checkForward(fixture: Fixture, variant: Variant): Promise<void> {
  const { lengths, size, table, x, gate, before, sequences } = inputs(fixture, variant);
  const { layout } = variant;
  const out = fixture.tensor(before, size);
  fixture.device.kernels.gatedAdd({
    x: fixture.tensor(x, size, { layout }),
    gate: fixture.tensor(gate, table, { layout }),
    sequences,
    out,
  });
  await fixture.assertClose(out, gatedAdd(before, x, gate, lengths), 'out');
}

async function checkBackward(fixture: Fixture, variant: Variant): Promise<void> {
  const { lengths, size, table, x, gate, before, sequences } = inputs(fixture, variant);
  const { layout, accumulate = false, wantsGate = true } = variant;
  const dOut = fixture.values(size);
  const dX = accumulate ? fixture.tensor(before, size) : fixture.output(size);
  const dGate = wantsGate ? fixture.output(table) : null;
  fixture.device.kernels.gatedAddBackward({
    dOut: fixture.tensor(dOut, size, { layout }),
    x: fixture.tensor(x, size, { layout }),
    gate: fixture.tensor(gate, table, { layout }),
    sequences,
    dX,
    accumulate,
    dGate,
  });
  const loss = () => dot(gatedAdd(before, x, gate, lengths), dOut);
  const gradient = numericGradient(x, loss);
  const expected = gradient.map((value, i) => value + (accumulate ? at(before, i) : 0));
  await fixture.assertClose(dX, expected, 'dX');
  if (dGate) await fixture.assertClose(dGate, numericGradient(gate, loss), 'dGate');
}

export const gatedAddCases: readonly CaseDefinition[] = [
  ...group('gatedAdd', {
    'adds rows times the gate of their sequence': async (fixture) => {
      for (const width of [43, 64, 1]) await checkForward(fixture, { width });
    },
    'reads row views': (fixture) => checkForward(fixture, { layout: 'rows' }),
    'takes one sequence and empty ones': async (fixture) => {
      await checkForward(fixture, { lengths: [9] });
      await checkForward(fixture, { lengths: [0, 3, 0, 2, 0], width: 3080 });
    },
  }),
  ...group('gatedAddBackward', {
    'gives the gradients of finite differences': async (fixture) => {
      for (const width of [11, 16]) await checkBackward(fixture, { width });
    },
    accumulates: async (fixture) => {
      for (const width of [11, 16]) await checkBackward(fixture, { width, accumulate: true });
    },
    'leaves out the sum that is not asked for': (fixture) =>
      checkBackward(fixture, { width: 11, wantsGate: false }),
    'reads row views': (fixture) => checkBackward(fixture, { width: 11, layout: 'rows' }),
    'sums long sequences, and nothing for empty ones': (fixture) =>
      checkBackward(fixture, { lengths: [0, 70, 0, 9], width: 8 }),
  }),
];
