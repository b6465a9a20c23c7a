import { AlignedTextBuilder, type AlignedText } from '../aligned-text.js';
import type { JsonPart } from '../json.js';
import { replace } from '../normalizers/replace.js';
import { literalPattern } from '../text-pattern.js';
import type { PreTokenizer } from './pre-tokenizer.js';
import { splitAt } from './split.js';

const schemes = ['always', 'first', 'never'] as const;
type PrependScheme = (typeof schemes)[number];

export interface MetaspaceOptions {
  readonly replacement: string;
  readonly scheme: PrependScheme;
  readonly split: boolean;
}

/**
 * Also of files before `prepend_scheme` came, with `add_prefix_space` and `str_rep` (not needed).
 * @throws TokenizerError
 */
export function metaspaceOptions(part: JsonPart): MetaspaceOptions {
  const schemePart = part.get('prepend_scheme');
  const scheme = schemePart.value === undefined ? 'always' : schemePart.oneOf(schemes);
  if (!part.get('add_prefix_space').flagOr(true) && scheme !== 'never')
    part.get('add_prefix_space').fail(`does not fit the prepend_scheme ${scheme}`);
  return {
    replacement: part.get('replacement').character,
    scheme,
    split: part.get('split').flagOr(true),
  };
}

/** Spaces become another sign, which is put before the text, too, and begins a part each time. */
export function metaspace({ replacement, scheme, split }: MetaspaceOptions): PreTokenizer {
  const replaceSpaces = replace(literalPattern(' '), replacement);
  const splitBefore = splitAt(literalPattern(replacement), 'MergedWithNext');
  return (base, start, end, take) => {
    const spaced = replaceSpaces(base.slice(start, end));
    const begins = scheme === 'always' || (scheme === 'first' && spaced.origin === 0);
    const text =
      begins && !spaced.text.startsWith(replacement) ? prepended(spaced, replacement) : spaced;
    if (split) splitBefore(text, 0, text.text.length, take);
    else take(text, 0, text.text.length);
  };
}

function prepended(base: AlignedText, prefix: string): AlignedText {
  const builder = new AlignedTextBuilder(base);
  builder.put(prefix, 0);
  builder.copy(0, base.text.length);
  return builder.build();
}
