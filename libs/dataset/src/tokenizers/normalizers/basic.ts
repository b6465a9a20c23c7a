import type { CodePointSet } from '@emloc/patterns/unicode';

import { GrowthError } from '../aligned-text.js';
import type { Normalizer } from './normalizer.js';
import { findEach, mapCharacters } from './transform.js';

/** What the steps of a sequence may go through of one text together, in UTF-16 units. */
const [baseUnits, unitsPerUnit] = [20_000_000, 300];

/**
 * One after the other, each on what the last one made.
 * @returns throws GrowthError where they would go through far more than the text has
 */
export function sequence(normalizers: readonly Normalizer[]): Normalizer {
  return (base) => {
    const most = baseUnits + unitsPerUnit * base.sourceUnits;
    let units = 0;
    return normalizers.reduce((text, normalize) => {
      units += text.text.length;
      if (units > most)
        throw new GrowthError(`its steps go through more than ${most} characters for one text`);
      return normalize(text);
    }, base);
  };
}

export function without(set: CodePointSet): Normalizer {
  const pattern = findEach(set);
  return (base) => mapCharacters(base, pattern, () => undefined);
}

/** Every character by itself: a sigma at the end of a word is as any other. */
export const lowercase: Normalizer = (base) =>
  base.text.toLowerCase() === base.text
    ? base
    : mapCharacters(base, /\p{Changes_When_Lowercased}/gu, (c) => c.toLowerCase());
