import { last } from '@emloc/checked';

/** Rows of `from` to `to` tokens, both included. */
interface LengthBin {
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
  /**
   * Ascending, without a gap from the shortest to the longest; at most 16, or one for each doubling
   * of the length.
   */
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

/** Bins for each doubling of the length, the finest first. */
const finenesses = [16, 8, 4, 2, 1];
const mostBins = 16;

/** As fine as they can be without being many. @param counts ascending */
function binsOf(counts: readonly (readonly [number, number])[]): readonly LengthBin[] {
  const made = finenesses.map((perDoubling) => binsWith(counts, perDoubling));
  return made.find(({ length }) => length <= mostBins) ?? last(made);
}

function binsWith(
  counts: readonly (readonly [number, number])[],
  perDoubling: number,
): readonly LengthBin[] {
  const bins: { from: number; to: number; rows: number }[] = [];
  for (const [length, rows] of counts) {
    while (bins.length === 0 || last(bins).to < length) {
      const from = bins.length === 0 ? length : last(bins).to + 1;
      bins.push({ ...boundsAt(from, perDoubling), rows: 0 });
    }
    last(bins).rows += rows;
  }
  return bins;
}

/** Of the bin that a length is in: 2^k to 2^(k + 1) in equal parts of whole numbers. */
function boundsAt(length: number, perDoubling: number): { from: number; to: number } {
  const octave = 2 ** Math.floor(Math.log2(Math.max(1, length)));
  const width = Math.max(1, octave / perDoubling);
  const from = length - ((length - octave) % width);
  return { from, to: from + width - 1 };
}
