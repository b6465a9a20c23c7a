import { at } from '@emloc/checked';

/** Rows of `from` to `to` tokens, both included. */
export interface LengthBin {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** How long rows are, in tokens. */
export interface RowLengths {
  /** Half of the rows are no longer; nearest rank. 0 where there are no rows, as the others. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly longest: number;
  /** Ascending, two to a doubling of the length, without a gap from the shortest to the longest. */
  readonly histogram: readonly LengthBin[];
}

/** Counts rows by their length, in memory that grows with the number of lengths only. */
export class LengthHistogram {
  readonly #rowsByLength = new Map<number, number>();
  #rows = 0;

  add(tokens: number): void {
    this.#rowsByLength.set(tokens, (this.#rowsByLength.get(tokens) ?? 0) + 1);
    this.#rows += 1;
  }

  lengths(): RowLengths {
    const counts = [...this.#rowsByLength].sort(([a], [b]) => a - b);
    return {
      p50: this.#quantile(counts, 50),
      p95: this.#quantile(counts, 95),
      p99: this.#quantile(counts, 99),
      longest: this.#quantile(counts, 100),
      histogram: binsOf(counts),
    };
  }

  #quantile(counts: readonly (readonly [number, number])[], percent: number): number {
    const rank = Math.ceil((this.#rows * percent) / 100);
    let seen = 0;
    for (const [length, rows] of counts) {
      seen += rows;
      if (seen >= rank) return length;
    }
    return 0;
  }
}

function binsOf(counts: readonly (readonly [number, number])[]): LengthBin[] {
  const bins: { from: number; to: number; rows: number }[] = [];
  for (const [length, rows] of counts) {
    while (bins.length === 0 || at(bins, bins.length - 1).to < length)
      bins.push(bins.length === 0 ? binAt(length) : binAt(at(bins, bins.length - 1).to + 1));
    at(bins, bins.length - 1).rows += rows;
  }
  return bins;
}

/** The bin of a length: from 2^k to below 1.5 · 2^k, or from there to below 2^(k + 1). */
function binAt(length: number): { from: number; to: number; rows: number } {
  if (length < 2) return { from: length, to: length, rows: 0 };
  const octave = 2 ** Math.floor(Math.log2(length));
  const middle = octave * 1.5;
  return length < middle
    ? { from: octave, to: middle - 1, rows: 0 }
    : { from: middle, to: 2 * octave - 1, rows: 0 };
}
