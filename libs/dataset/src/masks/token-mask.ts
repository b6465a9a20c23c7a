import type { Encoding } from '../tokenizers/index.js';
import type { TextRange } from './text-range.js';

/** Tokens of a whole row and which of them are trained on, before anything is cut. */
export interface TokenMask {
  readonly ids: Int32Array;
  /** As long as `ids`, 1 for a training target. */
  readonly trained: Uint8Array;
}

/**
 * Trained on is each token that has a character of one of the ranges, so a token on a border is;
 * never the first one, which nothing predicts.
 * @param ranges in order, apart from each other
 */
export function maskOf({ ids, starts, ends }: Encoding, ranges: readonly TextRange[]): TokenMask {
  const trained = new Uint8Array(ids.length);
  const waiting = ranges.values();
  let range = waiting.next().value;
  for (let token = 1; token < ids.length; token += 1) {
    const start = starts[token] as number;
    const end = Math.max(ends[token] as number, start + 1);
    while (range !== undefined && range.end <= start) range = waiting.next().value;
    if (range === undefined) break;
    if (end > range.start) trained[token] = 1;
  }
  return { ids, trained };
}
