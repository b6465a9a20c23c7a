import type { Fixture } from './fixture.js';
import type { AttentionShape } from './reference/attention.js';

export const small: AttentionShape = {
  lengths: [5, 1, 7],
  heads: 4,
  kvHeads: 2,
  headLength: 6,
  scale: 0.4,
};
export const long: AttentionShape = {
  lengths: [150, 1, 67],
  heads: 2,
  kvHeads: 1,
  headLength: 8,
  scale: 8 ** -0.5,
};

/** Lengths on both sides of tiles, in one pack. */
const lengths = [1, 7, 33, 64, 130];

/** Two tiles and a part of one, where many sizes of heads are gone through. */
const short = [5, 70];

export const packed = [16, 32, 64].map((headLength): AttentionShape => ({
  lengths,
  heads: 4,
  kvHeads: 2,
  headLength,
  scale: headLength ** -0.5,
}));

/** Scores that reach far beyond a soft cap of 2. */
function biting(headLength: number): AttentionShape {
  return {
    ...{ lengths: [5, 130], heads: 4, kvHeads: 2, headLength },
    ...{ scale: 4 * headLength ** -0.5, softCap: 2 },
  };
}

/** What differs from causal attention; windows are below, at and above a tile and a sequence. */
export const variants: Readonly<Record<string, AttentionShape>> = {
  'within packed sequences without a mask': {
    ...{ lengths, heads: 4, kvHeads: 2, headLength: 16, scale: 0.25, mask: { kind: 'none' } },
  },
  'without a mask, heads of 6 elements': { ...small, mask: { kind: 'none' } },
  ...Object.fromEntries(
    [2, 16, 64, 100, 130, 1000].map((window) => [
      `a window of ${window} rows`,
      {
        ...{ lengths: [...lengths, 200], heads: 2, kvHeads: 1, headLength: 64, scale: 0.125 },
        mask: { kind: 'window', window },
      },
    ]),
  ),
  'a window, heads of 6 elements': { ...small, mask: { kind: 'window', window: 3 } },
  'scores far above the soft cap': biting(32),
  'scores far above the soft cap, heads of 6 elements': { ...small, scale: 3, softCap: 2 },
  'scores far below the soft cap': { ...biting(64), softCap: 300 },
  'a soft cap without a mask': { ...biting(64), mask: { kind: 'none' } },
  'a soft cap in a window': { ...biting(64), mask: { kind: 'window', window: 40 } },
  sinks: { ...biting(64), softCap: undefined, scale: 0.125, sinks: [0.5, -2, 3, 0] },
  'sinks in a window': {
    ...{ lengths: [3, 150], heads: 4, kvHeads: 4, headLength: 64, scale: 0.125 },
    ...{ mask: { kind: 'window', window: 9 }, sinks: [0.5, -2, 3, 0] },
  },
  'sinks without a mask, a soft cap': {
    ...{ ...biting(32), mask: { kind: 'none' }, sinks: [0.5, -2, 3, 0] },
  },
  'sinks far above and below all scores': { ...small, sinks: [200, -300, 30_000, -30_000] },
  'sinks far above and below all scores, heads of 64': {
    ...{ ...biting(64), sinks: [200, -300, 30_000, -30_000] },
  },
  ...Object.fromEntries(
    [16, 64, 80, 96, 128, 256].flatMap((headLength): [string, AttentionShape][] => {
      const shape = {
        ...{ lengths: short, heads: 2, kvHeads: 1 },
        headLength,
        scale: headLength ** -0.5,
      };
      return [
        [`heads of ${headLength}`, shape],
        [`heads of ${headLength} without a mask`, { ...shape, mask: { kind: 'none' } }],
        [
          `heads of ${headLength}, a window, a soft cap and sinks`,
          {
            ...{ ...shape, mask: { kind: 'window', window: 30 }, softCap: 3 },
            sinks: [0.5, -2],
          },
        ],
      ];
    }),
  ),
  ...Object.fromEntries(
    [6, 64, 128, 256, 512].map((headLength): [string, AttentionShape] => [
      `sequences without rows, launched for longer ones, heads of ${headLength}`,
      {
        ...{ lengths: [5, 0, 70, 0], longest: 256, heads: 2, kvHeads: 1 },
        ...{ headLength, scale: headLength ** -0.5 },
      },
    ]),
  ),
  'heads of 136, narrower than the next width': {
    ...{ lengths: [40, 90], heads: 2, kvHeads: 1, headLength: 136, scale: 136 ** -0.5 },
  },
};

/** An everyday window, cap and sinks on few rows. */
export const everything: AttentionShape = {
  ...small,
  ...{ mask: { kind: 'window', window: 3 }, softCap: 1.5, sinks: [0.5, -2, 3, 0] },
};

/** A bias for distances up to `reach` in both directions. */
export function withBias(fixture: Fixture, shape: AttentionShape, reach: number): AttentionShape {
  const values = fixture.values([2 * reach + 1, shape.heads], { scale: 3 });
  return { ...shape, relativeBias: Array.from(values) };
}

/** Shapes that differ in what is beside a bias. */
export function biasedShapes(headLength: number): readonly [AttentionShape, ...AttentionShape[]] {
  const shape: AttentionShape = {
    ...{ lengths: [5, 100, 1], heads: 2, kvHeads: 2, headLength, scale: 1 / headLength },
    mask: { kind: 'none' },
  };
  return [
    shape,
    { ...shape, mask: { kind: 'causal' }, kvHeads: 1, sinks: [0.5, -2] },
    { ...shape, mask: { kind: 'window', window: 40 }, softCap: 2 },
  ];
}

/** One head of 512, as image decoders have. */
export const wide: AttentionShape = {
  ...{ lengths: [70, 1, 130], heads: 1, kvHeads: 1, headLength: 512, scale: 512 ** -0.5 },
  mask: { kind: 'none' },
};

/** Heads of 512 without a factor on the scores, as some layers of language models have. */
export const unscaled: readonly AttentionShape[] = (
  [{ kind: 'causal' }, { kind: 'window', window: 30 }] as const
).map((mask) => ({
  ...{ lengths: [70, 5], heads: 2, kvHeads: 1, headLength: 512, scale: 1 },
  mask,
}));
