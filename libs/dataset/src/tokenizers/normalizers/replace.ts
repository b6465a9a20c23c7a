import { AlignedTextBuilder, type AlignedText } from '../aligned-text.js';
import type { TextPattern } from '../text-pattern.js';
import type { Normalizer } from './normalizer.js';

/** Puts a text in place of every match, with the source of the last character of the match. */
export function replace(pattern: TextPattern, content: string): Normalizer {
  const { literal } = pattern;
  if (literal !== undefined && isOneUnit(literal) && isOneUnit(content))
    return (base) =>
      base.text.includes(literal)
        ? base.withText(base.text.replaceAll(literal, () => content))
        : base;
  return (base) => replaceMatches(base, pattern, content);
}

function isOneUnit(text: string): boolean {
  return text.length === 1 && (text.charCodeAt(0) & 0xf800) !== 0xd800;
}

function replaceMatches(base: AlignedText, pattern: TextPattern, content: string): AlignedText {
  const builder = new AlignedTextBuilder(base);
  let copied = -1;
  if (base.text === '') return base;
  pattern.forEachMatch(base.text, (start, end) => {
    builder.copy(Math.max(0, copied), start);
    builder.put(content, end - 1);
    copied = end;
  });
  if (copied < 0) return base;
  builder.copy(copied, base.text.length);
  return builder.build();
}
