import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { modulate } from '../reference/modulate.js';

interface Variant {
  readonly lengths?: readonly number[];
  readonly width?: number;
  readonly layout?: Layout;
  readonly inPlace?: boolean;
  readonly accumulate?: boolean;
  readonly sums?: 'none' | 'scale' | 'shift' | 'both';
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
    scale: fixture.values(table),
    shift: fixture.values(table),
    sequences: fixture.sequences(lengths),
  };
}

async function checkForward(fixture: Fixture, variant: Variant): Promise<void> {
  const { lengths, size, table, x, scale, shift, sequences } = inputs(fixture, variant);
  const { layout, inPlace } = variant;
  const tensor = fixture.tensor(x, size, { layout });
  const out = inPlace ? tensor : fixture.output(size);
  fixture.device.kernels.modulate({
    x: tensor,
    scale: fixture.tensor(scale, table, { layout }),
    shift: fixture.tensor(shift, table, { layout }),
    sequences,
    out,
  });
  await fixture.assertClose(out, modulate(x, scale, shift, lengths), 'out');
}

async function checkBackward(fixture: Fixture, variant: Variant): Promise<void> {
  const { lengths, size, table, x, scale, shift, sequences } = inputs(fixture, variant);
  const { layout, accumulate = false, sums = 'both' } = variant;
  const [dOut, before] = [fixture.values(size), fixture.values(size)];
  const dX = accumulate ? fixture.tensor(before, size) : fixture.output(size);
  const dScale = sums === 'scale' || sums === 'both' ? fixture.output(table) : null;
  const dShift = sums === 'shift' || sums === 'both' ? fixture.output(table) : null;
  fixture.device.kernels.modulateBackward({
    dOut: fixture.tensor(dOut, size, { layout }),
    x: fixture.tensor(x, size, { layout }),
    scale: fixture.tensor(scale, table, { layout }),
    sequences,
    dX,
    accumulate,
    dScale,
    dShift,
  });
  const loss = () => dot(modulate(x, scale, shift, lengths), dOut);
  const gradient = numericGradient(x, loss);
  const expected = gradient.map((value, i) => value + (accumulate ? at(before, i) : 0));
  await fixture.assertClose(dX, expected, 'dX');
  if (dScale) await fixture.assertClose(dScale, numericGradient(scale, loss), 'dScale');
  if (dShift) await fixture.assertClose(dShift, numericGradient(shift, loss), 'dShift');
}

export const modulateCases: readonly CaseDefinition[] = [
  ...group('modulate', {
    'scales and shifts the rows of each sequence': async (fixture) => {
      for (const width of [43, 64, 1]) await checkForward(fixture, { width });
    },
    'modulates in place': (fixture) => checkForward(fixture, { inPlace: true }),
    'reads row views': (fixture) => checkForward(fixture, { layout: 'rows' }),
    'takes one sequence, many and empty ones': async (fixture) => {
      await checkForward(fixture, { lengths: [9] });
      await checkForward(fixture, { lengths: [0, 3, 0, 2, 0] });
      await checkForward(fixture, { lengths: Array.from({ length: 70 }, (_, i) => 1 + (i % 3)) });
    },
    'takes wide rows': (fixture) => checkForward(fixture, { lengths: [3, 2], width: 3080 }),
  }),
  ...group('modulateBackward', {
    'gives the gradients of finite differences': async (fixture) => {
      for (const width of [11, 16]) await checkBackward(fixture, { width });
    },
    accumulates: async (fixture) => {
      for (const width of [11, 16]) await checkBackward(fixture, { width, accumulate: true });
    },
    'leaves out sums that are not asked for': async (fixture) => {
      for (const sums of ['none', 'scale', 'shift'] as const)
        await checkBackward(fixture, { width: 11, sums });
    },
    'reads row views': (fixture) => checkBackward(fixture, { width: 11, layout: 'rows' }),
    'sums long sequences, and nothing for empty ones': (fixture) =>
      checkBackward(fixture, { lengths: [0, 70, 0, 9], width: 8 }),
  }),
];
