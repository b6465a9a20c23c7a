import { get, last } from '@emloc/checked';
import { textSizeOf, type BatchShape, type ModelLayout, type TextSize } from '@emloc/models';

import { toyLayout } from '../test/toy-chain.js';
import { coveringShape, launchBoundTokens, roundedRows, roundedShape } from './rounding.js';
import { signatureOf } from './signature.js';

/** Texts of these lengths, of which so many tokens are targets. */
function texts(lengths: readonly number[], trained: number): BatchShape {
  const offsets = [0];
  for (const length of lengths) offsets.push(last(offsets) + length);
  const tokens = last(offsets);
  return {
    layouts: new Map([['tokens', offsets]]),
    integers: new Map([
      ['ids', tokens],
      ['targetRows', trained],
      ['targets', trained],
    ]),
    values: new Map(),
    lossWeight: trained,
    items: tokens,
  };
}

interface FullSize extends TextSize {
  readonly sequences: number;
}

/** What launches are made for, padded or not. */
function sizeOf(shape: BatchShape): FullSize {
  const { padded, ...rest } = shape;
  const size = textSizeOf(rest);
  if (!size) throw new Error('a batch of texts expected');
  const sequences = get(shape.layouts, 'tokens').length - 1;
  return { ...size, longest: padded?.longest ?? size.longest, sequences };
}

function isAtLeast(one: FullSize, other: FullSize): boolean {
  return (['tokens', 'trained', 'longest', 'sequences'] as const).every(
    (key) => one[key] >= other[key],
  );
}

function randomOf(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 1 + Math.floor((state / 2 ** 32) * most);
  };
}

const limits = [20, 96, 600, 1090, 1600, 5000, 2 ** 40];

describe('a rounded batch', () => {
  it.each([
    [[1], 1, { tokens: 16, trained: 16, longest: 128, sequences: 2 }],
    [[100, 29], 60, { tokens: 192, trained: 64, longest: 128, sequences: 3 }],
    [[200, 199], 64, { tokens: 512, trained: 128, longest: 256, sequences: 3 }],
    [[900, 125], 700, { tokens: 1152, trained: 768, longest: 1024, sequences: 3 }],
  ])('of %j with %i targets has its size', (lengths, trained, size) => {
    const shape = texts(lengths, trained);
    const rounded = roundedShape(shape, 1600);
    expect(sizeOf(rounded)).toEqual(size);
    expect(rounded).toMatchObject({ lossWeight: trained, items: shape.items });
  });

  it('is as it was beyond the limit, with padding, or where it is not texts alone', () => {
    const shape = texts([60, 41], 30);
    const others: BatchShape[] = [
      roundedShape(shape, 200),
      { ...shape, layouts: new Map([...shape.layouts, ['patches', [0, 4]]]) },
      { ...shape, values: new Map([['image', { rows: 'tokens', width: 3 }]]) },
      { ...shape, integers: new Map([...shape.integers, ['places', 3]]) },
    ];
    expect(roundedShape(shape, 101)).not.toBe(shape);
    expect(roundedShape(shape, 100)).toBe(shape);
    expect(roundedShape(shape, 0)).toBe(shape);
    for (const other of others) expect(roundedShape(other, 200)).toBe(other);
  });

  it.each(limits)('has no less of anything than one of less, up to %i tokens', (limit) => {
    const random = randomOf(limit);
    let differing = 0;
    for (let pair = 0; pair < 400; pair += 1) {
      const most = Math.min(limit, 4000) / 4;
      const more = Array.from({ length: random(4) }, () => random(most));
      const fewer = more.slice(0, random(more.length)).map((length) => random(length));
      const [tokens, less] = [more, fewer].map((lengths) =>
        lengths.reduce((sum, length) => sum + length, 0),
      ) as [number, number];
      const trained = random(tokens);
      const [larger, smaller] = [
        texts(more, trained),
        texts(fewer, Math.min(random(trained), less)),
      ].map((shape) => roundedShape(shape, limit)) as [BatchShape, BatchShape];
      expect(larger.padded).toBeDefined();
      expect(isAtLeast(sizeOf(larger), sizeOf(smaller))).toBe(true);
      if (signatureOf(larger) !== signatureOf(smaller)) differing += 1;
    }
    expect(differing).toBeGreaterThan(0);
  });

  it.each(limits)('is covered by what covers a larger one, at a limit of %i', (limit) => {
    const random = randomOf(limit + 1);
    for (let pair = 0; pair < 400; pair += 1) {
      const most = Math.min(limit, 4000);
      const more = Array.from({ length: random(4) }, () => random(most));
      const fewer = more.slice(0, random(more.length)).map((length) => random(length));
      const less = fewer.reduce((sum, length) => sum + length, 0);
      const trained = random(less);
      const covering = coveringShape(texts(more, trained), limit);
      for (const other of [texts(more, trained), texts(fewer, random(trained))])
        for (const shape of [other, roundedShape(other, limit)])
          expect(isAtLeast(sizeOf(covering), sizeOf(shape))).toBe(true);
      expect(roundedShape(covering, limit)).toBe(covering);
    }
  });

  it('has the launches of others of its size', () => {
    const signature = (lengths: readonly number[], trained: number): string =>
      signatureOf(roundedShape(texts(lengths, trained), 1600));
    expect(signature([60, 60], 50)).toBe(signature([10, 101], 63));
    for (const other of [signature([60, 69], 50), signature([60, 60], 65), signature([120], 50)])
      expect(other).not.toBe(signature([60, 60], 50));
    expect(signature([300, 100], 50)).not.toBe(signature([250, 150], 50));
    expect(signatureOf(texts([60, 60], 50))).not.toBe(signatureOf(texts([10, 110], 50)));
  });

  it('brings padding that counts nothing', async () => {
    const shape = texts([3, 2], 2);
    const integers = new Map([
      ['ids', Int32Array.of(7, 8, 9, 5, 6)],
      ['targetRows', Int32Array.of(1, 3)],
      ['targets', Int32Array.of(9, 6)],
    ]);
    const source = {
      shape: () => shape,
      load: () => Promise.resolve({ shape, integers, values: new Map() }),
    };
    const rounded = roundedRows(source, 100);
    const batch = await rounded.load([0]);
    expect(batch.shape).toEqual(rounded.shape([0]));
    expect(get(batch.shape.layouts, 'tokens')).toEqual([0, 3, 5, 16]);
    expect([...get(batch.integers, 'ids')]).toEqual([7, 8, 9, 5, 6, ...Array<number>(11).fill(0)]);
    expect([...get(batch.integers, 'targetRows')]).toEqual([1, 3, ...Array<number>(14).fill(15)]);
    expect([...get(batch.integers, 'targets')]).toEqual([9, 6, ...Array<number>(14).fill(-1)]);
  });
});

describe('tokens up to which a step is bound by its launches', () => {
  const layout: ModelLayout = toyLayout();
  const operations = layout.blocks.reduce((sum, { program }) => sum + program.operations.length, 0);
  const weights = layout.linears.reduce(
    (sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures,
    0,
  );

  it('are those that take the device as long as the launches take the host', () => {
    const launchOperations = 1e6;
    expect(launchBoundTokens({ layout, profile: { launchOperations } })).toBe(
      Math.floor((launchOperations * operations) / weights),
    );
    const rankOf = (path: string): number | null => (path === 'layers.0.q' ? 1 : null);
    expect(launchBoundTokens({ layout, profile: { launchOperations }, rankOf })).toBe(
      Math.floor((launchOperations * operations) / (weights - 8 * 8 + 16)),
    );
  });

  it('are none where the host does not launch', () => {
    expect(launchBoundTokens({ layout, profile: {} })).toBe(0);
  });
});
