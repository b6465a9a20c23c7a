import { PatternError } from './node.js';
import type { PatternReader } from './pattern-reader.js';
import { letterClasses, property } from './property.js';
import { type CodePointSet } from './unicode/code-point-set.js';

const controlEscapes: Readonly<Record<string, number>> = {
  t: 9,
  v: 11,
  n: 10,
  r: 13,
  f: 12,
  a: 7,
  e: 27,
};

/**
 * The set after a backslash that was taken: a class letter, a property or one character. Undefined,
 * with nothing taken, where it is neither.
 */
export function parseSetEscape(reader: PatternReader): CodePointSet | undefined {
  const letter = reader.peek();
  const classes = Object.hasOwn(letterClasses, letter.toLowerCase())
    ? letterClasses[letter.toLowerCase()]
    : undefined;
  if (classes) {
    reader.next();
    return letter === letter.toLowerCase() ? classes() : classes().complement();
  }
  if ((letter === 'p' || letter === 'P') && reader.peek(1) === '{') return parseProperty(reader);
  return undefined;
}

function parseProperty(reader: PatternReader): CodePointSet {
  const negated = reader.next() === 'P';
  reader.next();
  const inverted = reader.take('^');
  const set = property(reader.takeUntil('}'));
  return negated === inverted ? set : set.complement();
}

/** The code point after a backslash that was taken. @throws PatternError */
export function parseCharacterEscape(reader: PatternReader): number {
  const letter = reader.next();
  const control = Object.hasOwn(controlEscapes, letter) ? controlEscapes[letter] : undefined;
  if (control !== undefined) return control;
  if (letter === 'x') return parseHexadecimal(reader);
  if (letter === 'u') return inRange(parseInt(exactly(reader, /[0-9a-fA-F]/, 4), 16));
  if (letter === 'c') return pointOf(reader.next()) & 0x1f;
  if (letter === '0') return parseInt(`0${reader.takeWhile(/[0-7]/, 2)}`, 8);
  // Letters that mean nothing stand for themselves, as any sign does.
  if (/[CMogkKGXRyY]/.test(letter)) throw unsupported(`\\${letter}`);
  return pointOf(letter);
}

function parseHexadecimal(reader: PatternReader): number {
  if (!reader.take('{')) return parseInt(reader.takeWhile(/[0-9a-fA-F]/, 2) || '0', 16);
  const digits = reader.takeUntil('}');
  if (!/^[0-9a-fA-F]{1,8}$/.test(digits)) throw unsupported(`\\x{${digits}}`);
  return inRange(parseInt(digits, 16));
}

function exactly(reader: PatternReader, digit: RegExp, count: number): string {
  const taken = reader.takeWhile(digit, count);
  if (taken.length < count) throw new PatternError('an escape has too few digits');
  return taken;
}

function inRange(codePoint: number): number {
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff))
    throw new PatternError(`${codePoint.toString(16)} is no character`);
  return codePoint;
}

export function pointOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

export function unsupported(what: string): PatternError {
  return new PatternError(`${JSON.stringify(what)} is not supported`);
}
