import { CodePointSet, oldMarks, whiteSpace } from '@emloc/patterns/unicode';

import { AlignedTextBuilder } from '../aligned-text.js';
import { toByteCharacters } from '../byte-characters.js';
import type { JsonPart } from '../json.js';
import { mostNormalizers, stepsOf } from '../steps-of.js';
import { textPattern } from '../text-pattern.js';
import { lowercase, sequence, without } from './basic.js';
import { bertNormalizer } from './bert.js';
import type { Normalizer } from './normalizer.js';
import { precompiled } from './precompiled.js';
import { replace } from './replace.js';
import { findEach, mapCharacters } from './transform.js';
import { unicodeForm } from './unicode-forms.js';

/** The `normalizer` of tokenizer.json. @throws TokenizerError */
export function createNormalizer(part: JsonPart): Normalizer {
  if (part.isAbsent) return (text) => text;
  const type = part.get('type').text;
  switch (type) {
    case 'Sequence':
      return sequence(stepsOf(part, 'normalizers', mostNormalizers).map(createNormalizer));
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
      return unicodeForm(type);
    case 'Lowercase':
      return lowercase;
    case 'Strip':
      return strip(part.get('strip_left').flag, part.get('strip_right').flag);
    case 'StripAccents':
      return without(oldMarks());
    case 'Replace':
      return replace(textPattern(part.get('pattern')), part.get('content').text);
    case 'Prepend':
      return prepend(part.get('prepend').text);
    case 'Precompiled':
      return precompiled(part);
    case 'BertNormalizer':
      return bertNormalizer(part);
    case 'ByteLevel':
      return (base) => mapCharacters(base, /./gsu, toByteCharacters);
    case 'Nmt':
      return nmt;
    default:
      return part.get('type').fail(`there is no normalizer ${JSON.stringify(type.slice(0, 80))}`);
  }
}

function prepend(prefix: string): Normalizer {
  return (base) => {
    if (base.text === '') return base;
    const builder = new AlignedTextBuilder(base);
    const first = String.fromCodePoint(base.text.codePointAt(0) ?? 0);
    // Nothing before the text takes its first character's source away.
    if (prefix === '') builder.put(first, -1);
    else builder.put(prefix, 0);
    builder.copy(prefix === '' ? first.length : 0, base.text.length);
    return builder.build();
  };
}

function strip(left: boolean, right: boolean): Normalizer {
  return (base) => {
    const { text } = base;
    let [start, end] = [0, text.length];
    while (left && start < end && whiteSpace().has(text.charCodeAt(start))) start += 1;
    while (right && end > start && whiteSpace().has(text.charCodeAt(end - 1))) end -= 1;
    if (end - start === text.length) return base;
    const builder = new AlignedTextBuilder(base);
    builder.copy(start, end);
    return builder.build();
  };
}

const nmtRemoved = CodePointSet.of([
  [0x01, 0x08],
  [0x0b, 0x0b],
  [0x0e, 0x1f],
  [0x7f, 0x7f],
  [0x8f, 0x8f],
  [0x9f, 0x9f],
]);
const nmtBlank = CodePointSet.ofText(
  '\t\n\f\r\u1680\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd',
);

const nmt: Normalizer = sequence([
  without(nmtRemoved),
  (base) => mapCharacters(base, findEach(nmtBlank), () => ' '),
]);
