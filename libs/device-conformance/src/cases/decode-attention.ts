import assert from 'node:assert/strict';
import { DeviceError, type DecodeAttentionOptions } from '@emloc/device';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import type { AttentionShape } from '../reference/attention.js';
import { decodeAttention } from '../reference/decode-attention.js';

const small: AttentionShape = {
  ...{ lengths: [5, 1, 7], heads: 4, kvHeads: 2, headLength: 6, scale: 0.4 },
};

/** Caches on both sides of any part that a device may go through at once. */
const lengths = [1, 7, 33, 64, 130, 600];

const variants: Readonly<Record<string, AttentionShape>> = {
  'as many key heads as heads': { ...small, kvHeads: 4 },
  'one key head': { ...small, kvHeads: 1 },
  'sequences of one row': { ...small, lengths: [1, 1] },
  'one sequence': { ...small, lengths: [9] },
  'no sequence': { ...small, lengths: [] },
  'without a mask': { ...small, mask: { kind: 'none' } },
  'a window, heads of 6 elements': { ...small, mask: { kind: 'window', window: 3 } },
  'a soft cap, heads of 6 elements': { ...small, scale: 3, softCap: 2 },
  ...Object.fromEntries(
    [1, 2, 100, 256, 1000].map((window) => [
      `a window of ${window} rows`,
      {
        ...{ lengths, heads: 2, kvHeads: 1, headLength: 64, scale: 0.125 },
        mask: { kind: 'window', window },
      },
    ]),
  ),
  ...Object.fromEntries(
    [8, 16, 32, 64, 80, 96, 128, 136, 256, 12, 250].map((headLength): [string, AttentionShape] => [
      `heads of ${headLength}`,
      { lengths, heads: 6, kvHeads: 2, headLength, scale: headLength ** -0.5 },
    ]),
  ),
  ...Object.fromEntries(
    [1, 2, 4, 5, 7, 8, 12].map((heads): [string, AttentionShape] => [
      `groups of ${heads} heads`,
      {
        ...{ lengths, heads: 2 * heads, kvHeads: 2, headLength: 32, scale: 0.5 },
        ...{ softCap: 2, sinks: Array.from({ length: 2 * heads }, (_, i) => i % 5) },
      },
    ]),
  ),
  'heads of 512': {
    lengths: [1, 70, 300],
    ...{ heads: 4, kvHeads: 2, headLength: 512, scale: 512 ** -0.5 },
  },
  'a window, a soft cap and sinks': {
    ...{ lengths, heads: 4, kvHeads: 2, headLength: 64, scale: 0.5 },
    ...{ mask: { kind: 'window', window: 300 }, softCap: 3, sinks: [0.5, -2, 3, 0] },
  },
  'sinks far above and below all scores': { ...small, sinks: [200, -300, 30_000, -30_000] },
};

/** Sequences lie in another order than they have, with rows between them that nobody reads. */
function startsOf(rows: readonly number[]): { starts: number[]; capacity: number } {
  let capacity = 3;
  const starts = [...rows].reverse().map((length) => {
    const start = capacity;
    capacity += length + 2;
    return start;
  });
  return { starts: starts.reverse(), capacity };
}

function operandsOf(fixture: Fixture, shape: AttentionShape, layout: Layout, scale: number) {
  const { heads, kvHeads, headLength, mask, softCap, sinks } = shape;
  const { starts, capacity } = startsOf(shape.lengths);
  const [query, key] = [
    [starts.length, heads * headLength],
    [capacity, kvHeads * headLength],
  ] as const;
  const q = fixture.values(query, { scale: 2 * scale });
  const [keys, values] = [fixture.values(key, { scale: 2 }), fixture.values(key)];
  const integers = (numbers: readonly number[]) =>
    fixture.tensor(numbers, [numbers.length], { dtype: 'int32', layout });
  const options = {
    q: fixture.tensor(q, query, { layout }),
    keys: fixture.tensor(keys, key, { layout }),
    values: fixture.tensor(values, key, { layout }),
    cache: {
      ...{ starts, lengths: shape.lengths },
      ...{ deviceStarts: integers(starts), deviceLengths: integers(shape.lengths) },
    },
    ...{ heads, kvHeads, scale: shape.scale, out: fixture.output(query) },
    ...(mask && { mask }),
    ...(softCap !== undefined && { softCap }),
    ...(sinks && { sinks: fixture.tensor(sinks, [heads], { layout }) }),
  };
  return { options, inputs: { q, keys, values, starts } };
}

async function check(
  fixture: Fixture,
  shape: AttentionShape,
  { layout = 'whole', scale = 1 }: { layout?: Layout; scale?: number } = {},
): Promise<void> {
  const { options, inputs } = operandsOf(fixture, shape, layout, scale);
  fixture.device.kernels.decodeAttention(options);
  await fixture.assertClose(options.out, decodeAttention(inputs, shape), 'out');
}

/** A sequence alone and among others, longer ones too. */
async function checkAlone(fixture: Fixture): Promise<void> {
  const shape = { ...{ lengths: [9, 700, 300], heads: 4, kvHeads: 2, headLength: 32 }, scale: 0.3 };
  const { options } = operandsOf(fixture, shape, 'whole', 1);
  fixture.device.kernels.decodeAttention(options);
  const together = await fixture.bytes(options.out);
  assert.ok(together.some((byte) => byte !== 0));
  for (const sequence of shape.lengths.keys()) {
    const rows = [sequence, sequence + 1] as const;
    const { starts, lengths, deviceStarts, deviceLengths } = options.cache;
    const out = fixture.output([1, options.out.dim(1)]);
    const cache = {
      ...{ starts: starts.slice(...rows), lengths: lengths.slice(...rows) },
      deviceStarts: deviceStarts.rows(...rows),
      deviceLengths: deviceLengths.rows(...rows),
    };
    fixture.device.kernels.decodeAttention({ ...options, q: options.q.rows(...rows), cache, out });
    const alone = await fixture.bytes(out);
    const start = sequence * alone.byteLength;
    assert.deepEqual(alone, together.slice(start, start + alone.byteLength));
  }
}

async function refuses(
  fixture: Fixture,
  change: Partial<DecodeAttentionOptions>,
  code: string,
): Promise<void> {
  const { options } = operandsOf(fixture, small, 'whole', 1);
  const run = () => fixture.device.kernels.decodeAttention({ ...options, ...change });
  assert.throws(run, (error) => error instanceof DeviceError && error.code === code);
  await fixture.device.synchronize();
}

function rangesOf(fixture: Fixture, starts: readonly number[], lengthsOf: readonly number[]) {
  const upload = (numbers: readonly number[]) =>
    fixture.tensor(numbers, [numbers.length], { dtype: 'int32' });
  return {
    ...{ starts, lengths: lengthsOf },
    ...{ deviceStarts: upload(starts), deviceLengths: upload(lengthsOf) },
  };
}

export const decodeAttentionCases: readonly CaseDefinition[] = group('decodeAttention', {
  'attends to what a cache has of each sequence, grouped heads': (fixture) => check(fixture, small),
  'reads row views': (fixture) => check(fixture, small, { layout: 'rows' }),
  'survives scores whose exponentials overflow': (fixture) => check(fixture, small, { scale: 300 }),
  ...Object.fromEntries(
    Object.entries(variants).map(([name, shape]) => [
      `attends: ${name}`,
      (fixture: Fixture) => check(fixture, shape),
    ]),
  ),
  'gives a sequence the same bits alone and among longer ones': checkAlone,
  'refuses a window of no rows': (fixture) =>
    refuses(fixture, { mask: { kind: 'window', window: 0 } }, 'DEVICE_UNSUPPORTED'),
  'refuses rows beyond the end of the cache': (fixture) =>
    refuses(
      fixture,
      { cache: rangesOf(fixture, [0, 1, 2], [1, 1, 1000]) },
      'DEVICE_SHAPE_MISMATCH',
    ),
  'refuses a sequence without a row': (fixture) =>
    refuses(fixture, { cache: rangesOf(fixture, [0, 1, 2], [1, 0, 1]) }, 'DEVICE_SHAPE_MISMATCH'),
});
