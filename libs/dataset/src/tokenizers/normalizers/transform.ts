import type { CodePointSet } from '@emloc/patterns/unicode';

import {
  AlignedTextBuilder,
  isHighSurrogate,
  isLowSurrogate,
  type AlignedText,
} from '../aligned-text.js';

/**
 * Makes a text from a list of characters, each with how it came about: 0 in place of the next
 * character of the base, 1 in addition (it has the source of the one before it), -n in place of the
 * next one, and n after that are left out.
 */
export class Transform {
  readonly #base: AlignedText;
  readonly #builder: AlignedTextBuilder;
  /** The unit of the base at which the next character stands. */
  #at = 0;

  constructor(base: AlignedText) {
    this.#base = base;
    this.#builder = new AlignedTextBuilder(base);
  }

  push(codePoint: number, change: number): void {
    const { text } = this.#base;
    if (change > 0) {
      this.#builder.put(String.fromCodePoint(codePoint), this.#at - 1);
      return;
    }
    const at = Math.min(this.#at, text.length - 1);
    if (text.codePointAt(at) === codePoint) this.#builder.copy(at, this.#after(at));
    else this.#builder.put(String.fromCodePoint(codePoint), at);
    this.skip(1 - change);
  }

  /** A part of the base as it is, which begins where the next character stands. */
  copyTo(end: number): void {
    this.#builder.copy(this.#at, end);
    this.#at = end;
  }

  /** Leaves out what comes before a place, if anything is left there. */
  moveTo(at: number): void {
    this.#at = at;
  }

  /** Leaves out characters of the base. */
  skip(count: number): void {
    for (let i = 0; i < count; i += 1) this.#at = this.#after(this.#at);
  }

  build(): AlignedText {
    return this.#builder.build();
  }

  #after(at: number): number {
    const { text } = this.#base;
    const paired = isHighSurrogate(text.charCodeAt(at)) && isLowSurrogate(text.charCodeAt(at + 1));
    return Math.min(text.length, at + (paired ? 2 : 1));
  }
}

/** Changes or (undefined) leaves out the characters that the pattern finds one by one. */
export function mapCharacters(
  base: AlignedText,
  pattern: RegExp,
  change: (character: string) => string | undefined,
): AlignedText {
  const builder = new AlignedTextBuilder(base);
  let copied = -1;
  for (const { 0: character, index } of base.text.matchAll(pattern)) {
    const changed = change(character);
    if (changed === character) continue;
    builder.copy(Math.max(0, copied), index);
    if (changed !== undefined) builder.put(changed, index);
    copied = index + character.length;
  }
  if (copied < 0) return base;
  builder.copy(copied, base.text.length);
  return builder.build();
}

/** A pattern that finds the characters of a set one by one. */
export function findEach(set: CodePointSet): RegExp {
  const ranges = set.pairs.map(
    ([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`,
  );
  return new RegExp(`[${ranges.join('')}]`, 'gu');
}
