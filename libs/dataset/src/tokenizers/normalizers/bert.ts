import { CodePointSet, oldNonspacingMarks, oldOther, whiteSpace } from '@emloc/patterns/unicode';

import type { JsonPart } from '../json.js';
import { lowercase, sequence, without } from './basic.js';
import type { Normalizer } from './normalizer.js';
import { findEach, mapCharacters } from './transform.js';
import { unicodeForm } from './unicode-forms.js';

const ideographs = CodePointSet.of([
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
]);

/** BERT's cleaning: control characters, white space, ideographs apart, accents, case. */
export function bertNormalizer(part: JsonPart): Normalizer {
  const lower = part.get('lowercase').flag;
  const steps: Normalizer[] = [];
  if (part.get('clean_text').flag) steps.push(without(oldOther()), spaces);
  if (part.get('handle_chinese_chars').flag) steps.push(ideographsApart);
  if (part.get('strip_accents').flagOr(lower))
    steps.push(unicodeForm('NFD'), without(oldNonspacingMarks()));
  if (lower) steps.push(lowercase);
  return sequence(steps);
}

const spaces: Normalizer = (base) => mapCharacters(base, findEach(whiteSpace()), () => ' ');

const ideographsApart: Normalizer = (base) =>
  mapCharacters(base, findEach(ideographs), (character) => ` ${character} `);
