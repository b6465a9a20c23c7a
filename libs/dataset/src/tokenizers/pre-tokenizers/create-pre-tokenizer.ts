import { joinedWordCharacters, numeric, oldPunctuation, whiteSpace } from '@emloc/patterns/unicode';

import type { AlignedText } from '../aligned-text.js';
import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { stepsOf } from '../steps-of.js';
import { literalPattern, nodePattern, textPattern, type TextPattern } from '../text-pattern.js';
import { byteLevelSplit, toBytes } from './byte-level.js';
import { metaspace, metaspaceOptions } from './metaspace.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { splitBehaviors } from './split-behavior.js';
import { inSequence, splitAt, splitAtEach } from './split.js';
import { unicodeScripts } from './unicode-scripts.js';

/** The whole `pre_tokenizer` of a tokenizer. */
export interface PreTokenization {
  readonly split: PreTokenizer;
  /**
   * Whether the parts, as the last step, still are to be written by the characters of their bytes:
   * a model that can do without is spared the writing.
   */
  readonly endsInBytes: boolean;
}

/** @throws TokenizerError */
export function createPreTokenizer(part: JsonPart): PreTokenization {
  const stages = part.isAbsent ? [] : stepsOf(part, 'pretokenizers');
  const endsInBytes = stages.at(-1)?.get('type').value === 'ByteLevel';
  const last = stages.length - 1;
  const steps = stages.flatMap((stage, i) =>
    stage.get('type').value !== 'ByteLevel'
      ? [createStage(stage)]
      : [byteLevelSplit(stage), ...(i === last ? [] : [toBytes])],
  );
  return { split: inSequence(steps), endsInBytes };
}

function createStage(part: JsonPart): PreTokenizer {
  const type = part.get('type').text;
  switch (type) {
    case 'Metaspace':
      return metaspace(metaspaceOptions(part));
    case 'Split':
      return splitAt(
        textPattern(part.get('pattern')),
        part.get('behavior').oneOf(splitBehaviors),
        part.get('invert').flag,
      );
    case 'Digits':
      return splitAtEach(numeric(), part.get('individual_digits').flag ? 'Isolated' : 'Contiguous');
    case 'Whitespace':
      return splitAt(wordsAndSignsPattern(), 'Removed', true);
    case 'WhitespaceSplit':
      return splitAtEach(whiteSpace(), 'Removed');
    case 'Punctuation':
      return splitAtEach(oldPunctuation(), punctuationBehavior(part.get('behavior')));
    case 'BertPreTokenizer':
      return inSequence([
        splitAtEach(whiteSpace(), 'Removed'),
        splitAtEach(oldPunctuation(), 'Isolated'),
      ]);
    case 'CharDelimiterSplit':
      return splitAt(literalPattern(part.get('delimiter').character), 'Removed');
    case 'UnicodeScripts':
      return unicodeScripts;
    case 'FixedLength':
      return fixedLength(part.get('length'));
    default:
      return part.get('type').fail(`there is no pre-tokenizer ${quote(type)}`);
  }
}

function punctuationBehavior(part: JsonPart): (typeof splitBehaviors)[number] {
  return part.value === undefined ? 'Isolated' : part.oneOf(splitBehaviors);
}

let wordsAndSigns: TextPattern | undefined;

/** `\w+|[^\w\s]+`; made at the first call, since its sets and their table take a while. */
function wordsAndSignsPattern(): TextPattern {
  return (wordsAndSigns ??= nodePattern({
    kind: 'choice',
    branches: [joinedWordCharacters(), joinedWordCharacters().union(whiteSpace()).complement()].map(
      (set) => ({
        kind: 'repeat',
        body: { kind: 'set', set },
        min: 1,
        max: Infinity,
        greedy: true,
      }),
    ),
  }));
}

function fixedLength(part: JsonPart): PreTokenizer {
  const length = part.value === undefined ? 5 : part.count;
  if (length === 0) part.fail('must not be 0');
  return (base, start, end, take) => {
    let from = start;
    while (from < end) {
      const to = advance(base, from, end, length);
      take(base, from, to);
      from = to;
    }
  };
}

function advance(base: AlignedText, from: number, end: number, characters: number): number {
  let to = from;
  for (let i = 0; i < characters && to < end; i += 1)
    to += (base.text.codePointAt(to) ?? 0) > 0xffff ? 2 : 1;
  return to;
}
