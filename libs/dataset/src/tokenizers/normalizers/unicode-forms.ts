import { at } from '@emloc/checked';
import { combiningClasses, undecomposed } from '@emloc/patterns/unicode';

import type { AlignedText } from '../aligned-text.js';
import type { Normalizer } from './normalizer.js';
import { Transform } from './transform.js';

export type UnicodeForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

/** A character, and how it came about: see `Transform`. */
type Change = readonly [codePoint: number, change: number];

/** ASCII characters are apart from what follows, unless that is no ASCII. */
const stretchPattern = /[\0-\x7f]?[^\0-\x7f]+/g;

/**
 * The normal form of a text, with the changes in the order in which Unicode's algorithm makes
 * them.
 */
export function unicodeForm(form: UnicodeForm): Normalizer {
  const composes = form === 'NFC' || form === 'NFKC';
  const decompose = decomposer(form === 'NFC' || form === 'NFD' ? 'NFD' : 'NFKD');
  return (base) => {
    if (isNormal(base.text, form)) return base;
    return transformStretches(base, form, (stretch, transform) => {
      const push = (codePoint: number, change: number): void => transform.push(codePoint, change);
      const composer = composes ? new Composer(push) : undefined;
      const sorter = new Sorter(composer ? composer.add.bind(composer) : push);
      for (const character of stretch)
        decompose(character).forEach((c, i) => sorter.add(c, i === 0 ? 0 : 1));
      sorter.finish();
      composer?.finish();
    });
  };
}

/** The engine's own normalization takes quadratic time on long runs of marks. */
const manyMarks = /\p{M}{200}/u;

/** Whether it is known to be in that form already. */
function isNormal(text: string, form: UnicodeForm): boolean {
  return !manyMarks.test(text) && text.normalize(form) === text;
}

function transformStretches(
  base: AlignedText,
  form: UnicodeForm,
  work: (stretch: string, transform: Transform) => void,
): AlignedText {
  const transform = new Transform(base);
  for (const { 0: stretch, index } of base.text.matchAll(stretchPattern)) {
    if (isNormal(stretch, form)) continue;
    transform.copyTo(index);
    work(stretch, transform);
    transform.moveTo(index + stretch.length);
  }
  transform.copyTo(base.text.length);
  return transform.build();
}

/** Decompositions of single characters, as Unicode 9 has them. */
function decomposer(form: 'NFD' | 'NFKD'): (character: string) => readonly number[] {
  const known = new Map<string, readonly number[]>();
  return (character) => {
    let parts = known.get(character);
    if (!parts) {
      const kept = undecomposed().has(character.codePointAt(0) ?? 0);
      parts = codePoints(kept ? character : character.normalize(form));
      if (known.size < 100_000) known.set(character, parts);
    }
    return parts;
  };
}

function codePoints(text: string): number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0);
}

function combiningClass(codePoint: number): number {
  return codePoint < 0x300 ? 0 : (combiningClasses().get(codePoint) ?? 0);
}

/** Puts marks after a base in the order of their classes. */
class Sorter {
  #pending: Change[] = [];

  constructor(private readonly next: (codePoint: number, change: number) => void) {}

  add(codePoint: number, change: number): void {
    if (combiningClass(codePoint) === 0) this.finish();
    this.#pending.push([codePoint, change]);
  }

  finish(): void {
    if (this.#pending.length > 1)
      this.#pending.sort(([a], [b]) => combiningClass(a) - combiningClass(b));
    for (const [codePoint, change] of this.#pending) this.next(codePoint, change);
    this.#pending = [];
  }
}

/** Puts bases and marks together. */
class Composer {
  #base: Change | undefined;
  #marks: Change[] = [];
  #lastClass: number | undefined;

  constructor(private readonly next: (codePoint: number, change: number) => void) {}

  add(codePoint: number, change: number): void {
    const ownClass = combiningClass(codePoint);
    const base = this.#base;
    if (!base) {
      if (ownClass !== 0) this.next(codePoint, change);
      else this.#base = [codePoint, change];
      return;
    }
    const blocked = this.#lastClass !== undefined && this.#lastClass >= ownClass;
    const composed = blocked ? undefined : compose(base[0], codePoint);
    if (composed !== undefined) this.#base = [composed, base[1] + change - 1];
    else if (ownClass === 0 && (blocked || this.#lastClass === undefined)) {
      this.finish();
      this.#base = [codePoint, change];
    } else {
      this.#marks.push([codePoint, change]);
      this.#lastClass = ownClass;
    }
  }

  finish(): void {
    if (this.#base) this.next(...this.#base);
    for (const mark of this.#marks) this.next(...mark);
    this.#base = undefined;
    this.#marks = [];
    this.#lastClass = undefined;
  }
}

const composed = new Map<number, number>();

/** One character for two, undefined where there is none. */
function compose(first: number, second: number): number | undefined {
  if (second < 0x300) return undefined;
  const key = first * 0x110000 + second;
  let result = composed.get(key);
  if (result === undefined) {
    const points = codePoints(String.fromCodePoint(first, second).normalize('NFC'));
    const one = points.length === 1 ? at(points, 0) : -1;
    result = undecomposed().has(one) ? -1 : one;
    if (composed.size < 100_000) composed.set(key, result);
  }
  return result < 0 ? undefined : result;
}
