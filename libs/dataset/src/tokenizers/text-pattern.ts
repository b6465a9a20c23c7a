import { PatternError, PatternMatcher, type PatternNode } from '@emloc/patterns';

import type { JsonPart } from './json.js';

/** What is looked for in a text. */
export interface TextPattern {
  /** Set where the pattern is a plain text that is not empty. */
  readonly literal?: string;
  forEachMatch(text: string, found: (start: number, end: number) => void): void;
}

/** `{"String": text}` or `{"Regex": pattern}`, or a text alone. @throws TokenizerError */
export function textPattern(part: JsonPart): TextPattern {
  const { entries } = part;
  const [key, value] = entries.at(0) ?? ['', part];
  if (entries.length !== 1 || (key !== 'String' && key !== 'Regex'))
    return part.fail('must be {"String": text} or {"Regex": pattern}');
  return key === 'String' ? literalPattern(value.text) : regexPattern(value);
}

export function literalPattern(literal: string): TextPattern {
  if (literal === '') return new PatternMatcher({ kind: 'sequence', parts: [] });
  return { literal, forEachMatch: (text, found) => forEachOccurrence(text, literal, found) };
}

function forEachOccurrence(
  text: string,
  literal: string,
  found: (start: number, end: number) => void,
): void {
  for (let at = text.indexOf(literal); at >= 0; at = text.indexOf(literal, at + literal.length))
    found(at, at + literal.length);
}

function regexPattern(part: JsonPart): TextPattern {
  try {
    return new PatternMatcher(part.text, part.sets);
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause;
    return part.fail(`the pattern cannot be used: ${cause.message}`, cause);
  }
}

export function nodePattern(node: PatternNode): TextPattern {
  return new PatternMatcher(node);
}
