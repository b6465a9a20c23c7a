import { PatternMatcher } from '@emloc/patterns';

import { AlignedTextBuilder } from '../aligned-text.js';
import { toByteCharacters } from '../byte-characters.js';
import type { JsonPart } from '../json.js';
import { mapCharacters } from '../normalizers/transform.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { splitAt } from './split.js';

const gpt2Pattern =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Compiled when it is first needed, for as long as the program runs. */
let compiled: PatternMatcher | null = null;

/** A matcher for itself: a split may come while another is under way. */
function gpt2Matcher(): PatternMatcher {
  return new PatternMatcher((compiled ??= new PatternMatcher(gpt2Pattern)));
}

/** The splits of ByteLevel; the parts still are to be written by the characters of their bytes. */
export function byteLevelSplit(part: JsonPart): PreTokenizer {
  const addPrefixSpace = part.get('add_prefix_space').flag;
  const split = part.get('use_regex').flagOr(true) ? splitAt(gpt2Matcher(), 'Isolated') : undefined;
  return (base, start, end, take) => {
    const spaced = addPrefixSpace && base.text[start] !== ' ';
    let [text, from, to] = [base, start, end];
    if (spaced) {
      const builder = new AlignedTextBuilder(base, base.startOf(start));
      builder.put(' ', start);
      builder.copy(start, end);
      text = builder.build();
      [from, to] = [0, text.text.length];
    }
    if (split) split(text, from, to, take);
    else take(text, from, to);
  };
}

/** Writes a part by the characters of its bytes. */
export const toBytes: PreTokenizer = (base, start, end, take) => {
  const made = mapCharacters(base.slice(start, end), /./gsu, toByteCharacters);
  take(made, 0, made.text.length);
};
