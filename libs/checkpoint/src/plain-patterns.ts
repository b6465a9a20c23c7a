/** Expressions of one length with dots in the same places. */
interface Alike {
  readonly length: number;
  readonly dots: readonly number[];
  /** The first number of each expression. */
  readonly numbers: Map<string, number>;
}

/**
 * Expressions of letters, numbers, - and dots, which match the end of a path from a dot or the
 * start on; a dot is any character. There may be as many as paths, mostly of the same few shapes.
 */
export class PlainPatterns {
  readonly #shapes = new Map<string, Alike>();

  /** How many looks a path takes. */
  get looks(): number {
    return this.#shapes.size;
  }

  add(expression: string, number: number): void {
    const shape = expression.replace(/[^.]/g, '-');
    let alike = this.#shapes.get(shape);
    if (!alike) {
      const dots = [...shape.matchAll(/\./g)].map(({ index }) => index);
      alike = { length: shape.length, dots, numbers: new Map() };
      this.#shapes.set(shape, alike);
    }
    if (!alike.numbers.has(expression)) alike.numbers.set(expression, number);
  }

  /** The least number of those that match a path; undefined where none does. */
  firstOf(path: string): number | undefined {
    let first: number | undefined;
    for (const { length, dots, numbers } of this.#shapes.values()) {
      const start = path.length - length;
      if (start < 0 || (start > 0 && path[start - 1] !== '.')) continue;
      const number = numbers.get(withDots(path.slice(start), dots));
      if (number !== undefined && !(number >= (first ?? Number.POSITIVE_INFINITY))) first = number;
    }
    return first;
  }
}

function withDots(text: string, dots: readonly number[]): string {
  if (dots.every((at) => text[at] === '.')) return text;
  let replaced = '';
  let end = 0;
  for (const at of dots) {
    replaced += `${text.slice(end, at)}.`;
    end = at + 1;
  }
  return replaced + text.slice(end);
}
