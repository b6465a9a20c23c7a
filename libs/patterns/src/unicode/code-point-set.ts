const lastPoint = 0x10ffff;

/** An immutable set of code points: ranges in order, neither touching nor overlapping. */
export class CodePointSet {
  static readonly none = new CodePointSet([]);
  static readonly all = new CodePointSet([0, lastPoint]);

  private constructor(
    /** First and last of each range, in turn. */
    readonly ranges: readonly number[],
  ) {}

  /** Of any pairs of first and last, in any order. */
  static of(pairs: readonly (readonly [number, number])[]): CodePointSet {
    const ranges: number[] = [];
    for (const [first, last] of [...pairs].sort(([a], [b]) => a - b)) {
      const end = ranges.at(-1);
      if (end !== undefined && first <= end + 1) ranges[ranges.length - 1] = Math.max(end, last);
      else ranges.push(first, last);
    }
    return new CodePointSet(ranges);
  }

  static ofText(text: string): CodePointSet {
    return CodePointSet.of(Array.from(text, (c) => [c.codePointAt(0) ?? 0, c.codePointAt(0) ?? 0]));
  }

  get pairs(): [number, number][] {
    const pairs: [number, number][] = [];
    for (let i = 0; i < this.ranges.length; i += 2)
      pairs.push([this.ranges[i] as number, this.ranges[i + 1] as number]);
    return pairs;
  }

  /** Logarithmic in the number of ranges. */
  has(codePoint: number): boolean {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.ranges[middle] as number) + (middle & 1) <= codePoint) low = middle + 1;
      else high = middle;
    }
    return (low & 1) === 1;
  }

  union(...others: readonly CodePointSet[]): CodePointSet {
    return CodePointSet.of([this, ...others].flatMap(({ pairs }) => pairs));
  }

  complement(): CodePointSet {
    const inner = this.ranges.map((edge, i) => (i % 2 === 0 ? edge - 1 : edge + 1));
    const edges = [0, ...inner, lastPoint];
    const pairs: [number, number][] = [];
    for (let i = 0; i < edges.length; i += 2) {
      const [first, last] = [edges[i] as number, edges[i + 1] as number];
      if (first <= last) pairs.push([first, last]);
    }
    return new CodePointSet(pairs.flat());
  }

  intersection(other: CodePointSet): CodePointSet {
    return this.complement().union(other.complement()).complement();
  }

  without(other: CodePointSet): CodePointSet {
    return this.intersection(other.complement());
  }

  /** What is in one of the two only. */
  difference(other: CodePointSet): CodePointSet {
    return this.without(other).union(other.without(this));
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0;
  }
}

/** Where every code point stands in a table of bytes, for scans over long texts. */
export class MembershipTable {
  readonly #bytes = new Uint8Array(lastPoint + 1);

  constructor(set: CodePointSet) {
    for (const [first, last] of set.pairs) this.#bytes.fill(1, first, last + 1);
  }

  has(codePoint: number): boolean {
    return this.#bytes[codePoint] === 1;
  }
}
