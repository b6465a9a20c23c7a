import type { CodePointSet } from '@emloc/patterns/unicode';

import type { Normalizer } from './normalizer.js';
import { findEach, mapCharacters } from './transform.js';

export function sequence(normalizers: readonly Normalizer[]): Normalizer {
  return (base) => normalizers.reduce((text, normalize) => normalize(text), base);
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
