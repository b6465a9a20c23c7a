import { at } from '@emloc/checked';

import type { Encoding } from '../tokenizers/index.js';
import type { TextRange } from './text-range.js';

/**
 * The range without the line ends that follow an end of turn: a special token.
 * @param isSpecial of a token's id
 */
export function withoutLineEnd(
  range: TextRange,
  text: string,
  { ids, starts, ends }: Encoding,
  isSpecial: (id: number) => boolean,
): TextRange {
  const written = text.slice(range.start, range.end);
  const end = range.start + written.replace(/[\r\n]+$/, '').length;
  if (end === range.end || end === range.start) return range;
  const token = lastStartBefore(starts, end);
  return token >= 0 && at(ends, token) === end && isSpecial(at(ids, token))
    ? { start: range.start, end }
    : range;
}

/** The last token that starts before a place; -1: none. */
function lastStartBefore(starts: Int32Array, place: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(starts, middle) < place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
