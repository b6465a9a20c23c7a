import { characters } from './python-text.js';

/** Texts of at least so many characters have popular ones. */
const popularLength = 200;

/** Half-open ranges of two lists of characters. */
interface Ranges {
  readonly from: number;
  readonly to: number;
  readonly otherFrom: number;
  readonly otherTo: number;
}

interface Match {
  readonly start: number;
  readonly otherStart: number;
  readonly size: number;
}

/** Two texts, and where each character of the second stands in it. */
interface Pair {
  readonly a: readonly string[];
  readonly b: readonly string[];
  readonly positions: ReadonlyMap<string, readonly number[]>;
}

/**
 * Similarity by Ratcliff and Obershelp, 0 to 1, as `difflib.SequenceMatcher(None, first, second)`
 * has it: twice the characters in matching blocks over all characters, 1 for two empty texts. Not
 * symmetric: ties take the earliest block of the first text, and what is popular is so in the
 * second.
 */
export function matchingRatio(first: string, second: string): number {
  const [a, b] = [characters(first), characters(second)];
  const total = a.length + b.length;
  if (total === 0) return 1;
  const pair = { a, b, positions: unpopularPositions(b) };
  return (2 * matchedCharacters(pair)) / total;
}

/**
 * In a text of 200 characters and more, those that are more than 1 + 1 % of it never begin a
 * block: they only lengthen one.
 */
function unpopularPositions(b: readonly string[]): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  b.forEach((character, index) => {
    const known = positions.get(character);
    if (known) known.push(index);
    else positions.set(character, [index]);
  });
  if (b.length < popularLength) return positions;
  const most = Math.floor(b.length / 100) + 1;
  return new Map([...positions].filter(([, indices]) => indices.length <= most));
}

/** The longest block counts, then what lies left of it in both texts, then what lies right. */
function matchedCharacters(pair: Pair): number {
  let matched = 0;
  const open: Ranges[] = [{ from: 0, to: pair.a.length, otherFrom: 0, otherTo: pair.b.length }];
  for (let ranges = open.pop(); ranges !== undefined; ranges = open.pop()) {
    const { start, otherStart, size } = lengthened(longestMatch(pair, ranges), pair, ranges);
    if (size === 0) continue;
    matched += size;
    open.push({ ...ranges, to: start, otherTo: otherStart });
    open.push({ ...ranges, from: start + size, otherFrom: otherStart + size });
  }
  return matched;
}

/** The longest block without popular characters; of equals the first in a, then the first in b. */
function longestMatch({ a, positions }: Pair, ranges: Ranges): Match {
  let best: Match = { start: ranges.from, otherStart: ranges.otherFrom, size: 0 };
  /** Length of the match that ends at the last character of a looked at and this one of b. */
  let lengths = new Map<number, number>();
  a.slice(ranges.from, ranges.to).forEach((character, offset) => {
    const next = new Map<number, number>();
    for (const j of positions.get(character) ?? []) {
      if (j < ranges.otherFrom || j >= ranges.otherTo) continue;
      const size = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, size);
      if (size > best.size)
        best = { start: ranges.from + offset - size + 1, otherStart: j - size + 1, size };
    }
    lengths = next;
  });
  return best;
}

/** The block with what is equal on both of its sides, popular or not. */
function lengthened(match: Match, { a, b }: Pair, ranges: Ranges): Match {
  let { start, otherStart, size } = match;
  while (
    start > ranges.from &&
    otherStart > ranges.otherFrom &&
    a[start - 1] === b[otherStart - 1]
  ) {
    start -= 1;
    otherStart -= 1;
    size += 1;
  }
  while (
    start + size < ranges.to &&
    otherStart + size < ranges.otherTo &&
    a[start + size] === b[otherStart + size]
  )
    size += 1;
  return { start, otherStart, size };
}
