import { get, last } from '@emloc/checked';

import { longestSequence, type Batch, type BatchShape } from './batch.js';
import { streams, tokens as tokenRows } from './decoder-streams.js';

/** What decides the launches of a batch of texts beside its number of sequences. */
export interface TextSize {
  readonly tokens: number;
  /** Tokens that are targets. */
  readonly trained: number;
  /** Tokens of the longest text. */
  readonly longest: number;
}

const integerStreams = [streams.ids, streams.targetRows, streams.targets] as const;

/** The size of a batch of nothing but texts; null: it has something else, or padding. */
export function textSizeOf(shape: BatchShape): TextSize | null {
  const { layouts, grids, integers, values, ropes, padded } = shape;
  const offsets = layouts.get(tokenRows);
  const isText =
    layouts.size === 1 &&
    integers.size === integerStreams.length &&
    integerStreams.every((stream) => integers.has(stream)) &&
    [grids, values, ropes].every((map) => (map?.size ?? 0) === 0);
  if (!offsets || !isText || padded) return null;
  return {
    tokens: last(offsets),
    trained: get(integers, streams.targets),
    longest: longestSequence(offsets),
  };
}

/**
 * The shape of a batch of texts with one more sequence, of padding; it may have no row.
 * @param size at least that of the batch
 */
export function paddedShape(shape: BatchShape, size: TextSize): BatchShape {
  const { tokens, trained, longest } = size;
  const offsets = get(shape.layouts, tokenRows);
  if (tokens < last(offsets))
    throw new RangeError(`a batch of ${last(offsets)} tokens is to have ${tokens} with padding`);
  return {
    ...shape,
    layouts: new Map([[tokenRows, [...offsets, tokens]]]),
    integers: new Map([
      [streams.ids, tokens],
      [streams.targetRows, trained],
      [streams.targets, trained],
    ]),
    padded: { longest },
  };
}

/**
 * A batch with the padding of a shape that `paddedShape` made of its own. Targets that are padding
 * are −1, and their row is the last one, which predicts nothing: no text goes on behind it.
 */
export function paddedBatch({ integers }: Batch, shape: BatchShape): Batch {
  const lastRow = get(shape.integers, streams.ids) - 1;
  const filler = new Map<string, number>([
    [streams.ids, 0],
    [streams.targetRows, lastRow],
    [streams.targets, -1],
  ]);
  const padded = integerStreams.map((stream) => {
    const numbers = new Int32Array(get(shape.integers, stream)).fill(get(filler, stream));
    numbers.set(get(integers, stream));
    return [stream, numbers] as const;
  });
  return { shape, integers: new Map(padded), values: new Map() };
}
