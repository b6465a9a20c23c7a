import { at } from '@emloc/checked';

import { PatternError } from './node.js';

/** Code points of a pattern, one after the other. */
export class PatternReader {
  readonly #points: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#points = Array.from(pattern);
  }

  get done(): boolean {
    return this.#at >= this.#points.length;
  }

  get position(): number {
    return this.#at;
  }

  set position(at: number) {
    this.#at = at;
  }

  /** Empty beyond the end. */
  peek(ahead = 0): string {
    const place = this.#at + ahead;
    return place < this.#points.length ? at(this.#points, place) : '';
  }

  next(): string {
    const point = this.#points[this.#at];
    if (point === undefined) throw new PatternError('it ends too early');
    this.#at += 1;
    return point;
  }

  /** Takes the text if it comes next. */
  take(text: string): boolean {
    const points = Array.from(text);
    if (points.some((point, i) => this.#points[this.#at + i] !== point)) return false;
    this.#at += points.length;
    return true;
  }

  /** Takes everything up to a text and that text itself. */
  takeUntil(text: string): string {
    let taken = '';
    while (!this.take(text)) taken += this.next();
    return taken;
  }

  /** Takes as many characters as match, at most `limit`. */
  takeWhile(matches: RegExp, limit = Infinity): string {
    let taken = '';
    while (!this.done && taken.length < limit && matches.test(this.peek())) taken += this.next();
    return taken;
  }
}
