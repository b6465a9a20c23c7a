import { Int32List } from './int32-list.js';
import type { TakeToken } from './models/token-model.js';

/** Longer words rarely come again. In UTF-16 units. */
export const cachedLength = 64;
const maxWords = 150_000;
const maxNumbers = 2 ** 22;

/** Tokens of words that were met before. Forgets everything when it is full. */
export class WordCache {
  readonly #places = new Map<string, number>();
  readonly #numbers = new Int32List(4096);

  constructor(private readonly tokenize: (word: string, take: TakeToken) => void) {}

  /** The word must not be longer than `cachedLength`. */
  forEachToken(word: string, take: TakeToken): void {
    const numbers = this.#numbers;
    const place = this.#places.get(word) ?? this.#fill(word);
    const end = place + 1 + 3 * numbers.at(place);
    for (let at = place + 1; at < end; at += 3)
      take(numbers.at(at), numbers.at(at + 1), numbers.at(at + 2));
  }

  #fill(word: string): number {
    if (this.#places.size >= maxWords || this.#numbers.length >= maxNumbers) {
      this.#places.clear();
      this.#numbers.clear();
    }
    const place = this.#numbers.length;
    let count = 0;
    this.#numbers.push(0);
    this.tokenize(word, (id, start, end) => {
      this.#numbers.push(id);
      this.#numbers.push(start);
      this.#numbers.push(end);
      count += 1;
    });
    this.#numbers.set(place, count);
    this.#places.set(detached(word), place);
    return place;
  }
}

/** A part of a text keeps the whole text in memory; a copy of it does not. */
function detached(word: string): string {
  const units = new Array<number>(word.length);
  for (let i = 0; i < word.length; i += 1) units[i] = word.charCodeAt(i);
  return String.fromCharCode(...units);
}
