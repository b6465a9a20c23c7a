import assert from 'node:assert/strict';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { rounded } from '../host-values.js';
import { groupNorm } from '../reference/group-norm.js';

interface Variant {
  readonly lengths?: readonly number[];
  readonly width?: number;
  readonly groups?: number;
  readonly activation?: 'silu';
  readonly layout?: Layout;
  readonly inPlace?: boolean;
  /** Of every value. */
  readonly mean?: number;
  /** Of values about their mean. */
  readonly scale?: number;
  readonly epsilon?: number;
}

async function check(fixture: Fixture, variant: Variant): Promise<void> {
  const { lengths = [5, 1, 7], width = 24, groups = 4, activation, layout, inPlace } = variant;
  const { mean = 0, scale = 3, epsilon = 1e-6 } = variant;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const size = [rows, width];
  const x = fixture.values(size, { scale }).map((value) => rounded(mean + value, fixture.compute));
  const [weight, bias] = [fixture.values([width]), fixture.values([width])];
  const tensor = fixture.tensor(x, size, { layout });
  const out = inPlace ? tensor : fixture.output(size);
  fixture.device.kernels.groupNorm({
    x: tensor,
    ...{ groups, epsilon, activation, sequences: fixture.sequences(lengths) },
    weight: fixture.tensor(weight, [width], { layout }),
    bias: fixture.tensor(bias, [width], { layout }),
    out,
  });
  const expected = groupNorm(x, lengths, { groups, weight, bias, epsilon, activation });
  await fixture.assertClose(out, expected, 'out');
}

export const groupNormCases: readonly CaseDefinition[] = group('groupNorm', {
  'normalises the groups of columns of each sequence': async (fixture) => {
    for (const [width, groups] of [
      [24, 4],
      [43, 43],
      [43, 1],
      [64, 32],
      [512, 32],
    ] as const)
      await check(fixture, { width, groups });
  },
  'applies silu to the result': async (fixture) => {
    for (const width of [24, 64, 4]) await check(fixture, { width, activation: 'silu' });
    await check(fixture, { lengths: [700], width: 16, activation: 'silu' });
  },
  'normalises in place': (fixture) => check(fixture, { inPlace: true, activation: 'silu' }),
  'reads row views': async (fixture) => {
    for (const width of [24, 20]) await check(fixture, { width, layout: 'rows' });
  },
  'takes one sequence, long, many and empty ones': async (fixture) => {
    await check(fixture, { lengths: [9] });
    await check(fixture, { lengths: [0, 3, 0, 2, 0] });
    await check(fixture, { lengths: [1500, 3, 513], width: 16, groups: 2 });
    await check(fixture, { lengths: Array.from({ length: 70 }, (_, i) => 1 + (i % 3)) });
  },
  'keeps the precision of values with a large mean': (fixture) =>
    check(fixture, {
      lengths: [600, 40],
      mean: 100,
      scale: fixture.compute === 'float32' ? 1 : 30,
    }),
  'adds epsilon to a small variance': (fixture) => check(fixture, { scale: 1e-3, epsilon: 1e-5 }),
  'refuses groups that do not divide the columns': async (fixture) => {
    await assert.rejects(check(fixture, { width: 24, groups: 5 }), {
      code: 'DEVICE_SHAPE_MISMATCH',
    });
  },
});
