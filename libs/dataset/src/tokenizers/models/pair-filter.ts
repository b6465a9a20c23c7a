const filterBits = 2 ** 23;

/** A set of pairs of characters that may hold a few more than were added, never fewer. */
export class PairFilter {
  readonly #words = new Uint32Array(filterBits / 32);

  /** The last character of the one with the first of the other. */
  addEnds(left: string, right: string): void {
    const last = lastPoint(left);
    const first = right.codePointAt(0);
    if (last === undefined || first === undefined) return;
    const hash = hashOf(last, first);
    this.#words[hash >>> 5] = (this.#words[hash >>> 5] as number) | (1 << (hash & 31));
  }

  has(last: number, first: number): boolean {
    const hash = hashOf(last, first);
    return (((this.#words[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1;
  }
}

function lastPoint(text: string): number | undefined {
  const unit = text.charCodeAt(text.length - 1);
  return (unit & 0xfc00) === 0xdc00
    ? text.codePointAt(text.length - 2)
    : text.codePointAt(text.length - 1);
}

function hashOf(last: number, first: number): number {
  const hash = Math.imul(last, 0x9e3779b1) ^ Math.imul(first, 0x85ebca6b);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 9;
}
