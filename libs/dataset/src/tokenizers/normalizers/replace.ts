import { AlignedTextBuilder, type AlignedText } from '../aligned-text.js';
import type { TextPattern } from '../text-pattern.js';
import type { Normalizer } from './normalizer.js';

/** In UTF-16 units. */
const pieceLength = 2 ** 16;

/** Puts a text in place of every match, with the source of the last character of the match. */
export function replace(pattern: TextPattern, content: string): Normalizer {
  const { literal } = pattern;
  if (literal !== undefined && isOneUnit(literal) && isOneUnit(content))
    return (base) =>
      base.text.includes(literal) ? base.withText(replaceUnits(base.text, literal, content)) : base;
  return (base) => replaceMatches(base, pattern, content);
}

/** Piece by piece: while it replaces, the engine holds many bytes for each match. */
function replaceUnits(text: string, literal: string, content: string): string {
  const pieces: string[] = [];
  for (let start = 0; start < text.length; start += pieceLength) {
    const piece = text.slice(start, start + pieceLength);
    pieces.push(piece.split(literal).join(content));
  }
  return pieces.join('');
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
