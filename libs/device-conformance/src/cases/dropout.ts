import assert from 'node:assert/strict';
import { at } from '@emloc/checked';

import { group, type CaseDefinition } from '../case.js';
import type { Fixture, Layout } from '../fixture.js';
import { dropout } from '../reference/dropout.js';

interface Variant {
  readonly probability?: number;
  readonly key?: readonly [number, number];
  readonly stream?: number;
  readonly layout?: Layout;
  readonly inPlace?: boolean;
  readonly accumulate?: boolean;
}

async function check(
  fixture: Fixture,
  shape: readonly number[],
  {
    probability = 0.3,
    key = [0x13198a2e, -0x3c8fccbc],
    stream = 7,
    layout,
    inPlace = false,
    accumulate = false,
  }: Variant = {},
): Promise<void> {
  const values = fixture.values(shape);
  const before = fixture.values(shape);
  const x = fixture.tensor(values, shape, { layout });
  const fresh = accumulate ? fixture.tensor(before, shape) : fixture.output(shape);
  const out = inPlace ? x : fresh;
  fixture.device.kernels.dropout({
    ...{ x, out, probability, stream, accumulate },
    key: fixture.tensor(key, [2], { dtype: 'int32' }),
  });
  const dropped = dropout(values, { probability, key, stream });
  const expected = accumulate ? dropped.map((value, i) => value + at(before, i)) : dropped;
  await fixture.assertClose(out, expected, 'out');
}

/** Which of `count` elements are kept. */
async function kept(
  fixture: Fixture,
  count: number,
  { probability = 0.3, key = [1, 2], stream = 0 }: Variant = {},
): Promise<readonly boolean[]> {
  const x = fixture.tensor(new Float64Array(count).fill(1), [count]);
  const out = fixture.output([count]);
  const drawn = fixture.tensor(key, [2], { dtype: 'int32' });
  fixture.device.kernels.dropout({ x, out, probability, stream, key: drawn });
  const values = [...(await fixture.read(out))];
  assert.equal(values.length, count);
  // Not what an output has before something is written there, which is no number.
  return values.map((value) => value > 0);
}

/** Within five standard deviations of what independent draws give. */
function assertShare(of: readonly boolean[], share: number, name: string): void {
  const count = of.filter(Boolean).length;
  const deviation = Math.sqrt(of.length * share * (1 - share));
  assert.ok(
    Math.abs(count - of.length * share) < 5 * deviation,
    `${name}: ${count} of ${of.length}, ${of.length * share} expected`,
  );
}

export const dropoutCases: readonly CaseDefinition[] = group('dropout', {
  'keeps the elements that the generator says, scaled up': async (fixture) => {
    for (const shape of [[9, 31], [8, 64], [1], [70_001]]) await check(fixture, shape);
  },
  'takes every key, stream and probability': async (fixture) => {
    await check(fixture, [5, 8], { key: [0, 0], stream: 0 });
    await check(fixture, [5, 8], { key: [-1, 2 ** 31 - 1], stream: 2 ** 32 - 1 });
    for (const probability of [0, 1e-3, 0.5, 0.999]) await check(fixture, [40, 8], { probability });
  },
  'keeps everything at probability 0': async (fixture) => {
    const all = await kept(fixture, 1000, { probability: 0 });
    assert.ok(all.every(Boolean));
  },
  'adds, and works in place': async (fixture) => {
    for (const shape of [
      [9, 31],
      [8, 64],
    ]) {
      await check(fixture, shape, { accumulate: true });
      await check(fixture, shape, { inPlace: true });
    }
  },
  'reads row views': (fixture) => check(fixture, [5, 13], { layout: 'rows' }),
  'draws as independent events are: by share, of neighbours, streams and keys': async (fixture) => {
    const count = 40_000;
    for (const probability of [0.05, 0.5])
      assertShare(await kept(fixture, count, { probability }), 1 - probability, 'kept');
    const base = await kept(fixture, count, { probability: 0.5 });
    const others = {
      neighbours: [...base.slice(1), at(base, 0)],
      rows: [...base.slice(64), ...base.slice(0, 64)],
      streams: await kept(fixture, count, { probability: 0.5, stream: 1 }),
      keys: await kept(fixture, count, { probability: 0.5, key: [1, 3] }),
    };
    for (const [name, other] of Object.entries(others))
      assertShare(
        base.map((isKept, i) => isKept && at(other, i)),
        0.25,
        name,
      );
  },
});
