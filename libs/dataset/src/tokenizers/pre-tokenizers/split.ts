import { MembershipTable, type CodePointSet } from '@emloc/patterns/unicode';

import type { TextPattern } from '../text-pattern.js';
import type { PreTokenizer, TakePart } from './pre-tokenizer.js';
import { createSplitter, type SplitBehavior } from './split-behavior.js';

/** Splits at the matches of a pattern, or (`invert`) at what is between them. */
export function splitAt(
  pattern: TextPattern,
  behavior: SplitBehavior,
  invert = false,
): PreTokenizer {
  return (base, start, end, take) => {
    // The pattern sees the part as a whole text: anchors are its begin and end.
    const part = base.text.slice(start, end);
    const splitter = createSplitter(behavior, (from, to) => {
      if (from < to) take(base, start + from, start + to);
    });
    let last = 0;
    pattern.forEachMatch(part, (from, to) => {
      if (last !== from) splitter.add(last, from, invert);
      splitter.add(from, to, !invert);
      last = to;
    });
    if (last !== part.length) splitter.add(last, part.length, invert);
    splitter.finish();
  };
}

/** Splits at every character of a set. */
export function splitAtEach(set: CodePointSet, behavior: SplitBehavior): PreTokenizer {
  return splitAt(charactersOf(set), behavior);
}

/** One match for every character of the set. */
function charactersOf(set: CodePointSet): TextPattern {
  const table = new MembershipTable(set);
  return {
    forEachMatch: (text, found) => {
      for (let at = 0; at < text.length; at += 1) {
        const point = text.codePointAt(at) ?? 0;
        const end = at + (point > 0xffff ? 2 : 1);
        if (table.has(point)) found(at, end);
        at = end - 1;
      }
    },
  };
}

/** One after the other, each on what the last one made. */
export function inSequence(stages: readonly PreTokenizer[]): PreTokenizer {
  return (base, start, end, take) => {
    const chain = stages.reduceRight<TakePart>(
      (next, stage) => (text, from, to) => stage(text, from, to, next),
      take,
    );
    chain(base, start, end);
  };
}
