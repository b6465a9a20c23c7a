import { at } from '@emloc/checked';
import type { Tensor } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dot, numericGradient } from '../gradient.js';
import { causalConvolution } from '../reference/causal-convolution.js';

/** Sequences shorter than the taps, as long and longer; one without rows. */
const lengths: readonly number[] = [1, 2, 4, 0, 9, 3];

interface Sizes {
  readonly channels: number;
  readonly taps: number;
  readonly lengths: readonly number[];
}

function drawOperands(fixture: Fixture, { channels, taps, lengths: each }: Sizes) {
  const rows = each.reduce((sum, length) => sum + length, 0);
  const shape = [rows, channels];
  const [x, weight] = [fixture.values(shape, { scale: 2 }), fixture.values([channels, taps])];
  return { shape, x, weight };
}

async function checkForward(
  fixture: Fixture,
  sizes: Sizes,
  layout: Layout = 'whole',
): Promise<void> {
  const { shape, x, weight } = drawOperands(fixture, sizes);
  const out = fixture.output(shape);
  fixture.device.kernels.causalConvolution({
    x: fixture.tensor(x, shape, { layout }),
    weight: fixture.tensor(weight, [sizes.channels, sizes.taps], { layout }),
    sequences: fixture.sequences(sizes.lengths),
    out,
  });
  await fixture.assertClose(out, causalConvolution(x, weight, sizes), 'out');
}

async function checkBackward(
  fixture: Fixture,
  sizes: Sizes,
  { accumulate = false, layout = 'whole' }: { accumulate?: boolean; layout?: Layout } = {},
): Promise<void> {
  const { shape, x, weight } = drawOperands(fixture, sizes);
  const [dOut, before] = [fixture.values(shape), fixture.values(shape)];
  const dX = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  fixture.device.kernels.causalConvolutionBackward({
    dOut: fixture.tensor(dOut, shape, { layout }),
    x: fixture.tensor(x, shape, { layout }),
    weight: fixture.tensor(weight, [sizes.channels, sizes.taps]),
    sequences: fixture.sequences(sizes.lengths),
    dX,
    accumulate,
  });
  const gradient = numericGradient(x, () => dot(causalConvolution(x, weight, sizes), dOut));
  const expected = gradient.map((value, i) => value + (accumulate ? at(before, i) : 0));
  await fixture.assertClose(dX, expected, 'dX');
}

/** The rows that come last, of what came before and of the sequence. */
function lastRows(
  x: Float64Array,
  initialRows: Float64Array,
  { channels, taps, lengths: each }: Sizes,
): Float64Array {
  const border = (taps - 1) * channels;
  let start = 0;
  const borders = each.map((length, sequence) => {
    const rows = [
      ...initialRows.subarray(sequence * border, (sequence + 1) * border),
      ...x.subarray(start * channels, (start + length) * channels),
    ];
    start += length;
    return rows.slice(rows.length - border);
  });
  return Float64Array.from(borders.flat());
}

async function checkContinuation(fixture: Fixture, isInPlace: boolean): Promise<void> {
  const sizes = { channels: 10, taps: 4, lengths };
  const { shape, x, weight } = drawOperands(fixture, sizes);
  const border = [lengths.length, sizes.taps - 1, sizes.channels];
  const initial = fixture.values(border, { scale: 2 });
  const initialRows: Tensor = fixture.tensor(initial, border);
  const finalRows = isInPlace ? initialRows : fixture.output(border);
  const out = fixture.output(shape);
  fixture.device.kernels.causalConvolution({
    x: fixture.tensor(x, shape),
    weight: fixture.tensor(weight, [sizes.channels, sizes.taps]),
    sequences: fixture.sequences(lengths),
    ...{ initialRows, finalRows, out },
  });
  const expected = causalConvolution(x, weight, { ...sizes, initialRows: initial });
  await fixture.assertClose(out, expected, 'out');
  await fixture.assertEqual(finalRows, lastRows(x, initial, sizes), 'finalRows');
}

/** Each sequence alone gives the same bits. */
async function checkPacking(fixture: Fixture): Promise<void> {
  const sizes = { channels: 37, taps: 4, lengths: [5, 1, 7] };
  const { shape, x, weight } = drawOperands(fixture, sizes);
  const { kernels } = fixture.device;
  const shared = { weight: fixture.tensor(weight, [sizes.channels, sizes.taps]) };
  const out = fixture.output(shape);
  const input = fixture.tensor(x, shape);
  kernels.causalConvolution({
    ...{ ...shared, x: input, sequences: fixture.sequences(sizes.lengths), out },
  });
  await fixture.assertClose(out, causalConvolution(x, weight, sizes), 'out');
  const together = await fixture.read(out);
  let start = 0;
  for (const length of sizes.lengths) {
    const alone = fixture.output([length, sizes.channels]);
    kernels.causalConvolution({
      ...{ ...shared, x: input.rows(start, start + length), out: alone },
      sequences: fixture.sequences([length]),
    });
    const end = start + length;
    const expected = together.subarray(start * sizes.channels, end * sizes.channels);
    await fixture.assertEqual(alone, expected, `rows ${start} to ${end}`);
    start = end;
  }
}

export const causalConvolutionCases: readonly CaseDefinition[] = [
  ...group('causalConvolution', {
    'begins anew at each sequence': (fixture) =>
      checkForward(fixture, { channels: 24, taps: 4, lengths }),
    'reads row views': (fixture) =>
      checkForward(fixture, { channels: 7, taps: 4, lengths }, 'rows'),
    'takes other numbers of taps': async (fixture) => {
      for (const taps of [1, 2, 3, 5]) await checkForward(fixture, { channels: 9, taps, lengths });
    },
    'takes many channels': (fixture) =>
      checkForward(fixture, { channels: 4099, taps: 4, lengths: [3, 6] }),
    'goes on from rows before and leaves its last': (fixture) => checkContinuation(fixture, false),
    'leaves its last rows in place of those before': (fixture) => checkContinuation(fixture, true),
    'gives packed sequences what each has alone, bit for bit': checkPacking,
  }),
  ...group('causalConvolutionBackward', {
    'gives the gradient of finite differences': async (fixture) => {
      for (const taps of [1, 2, 4])
        await checkBackward(fixture, { channels: 5, taps, lengths: [1, 2, 0, 7] });
    },
    'reads row views': (fixture) =>
      checkBackward(fixture, { channels: 8, taps: 4, lengths: [5, 3] }, { layout: 'rows' }),
    accumulates: (fixture) =>
      checkBackward(fixture, { channels: 3, taps: 4, lengths: [5, 4] }, { accumulate: true }),
  }),
];
