import { at } from '@emloc/checked';

import { choose } from './choose.js';
import type { EncodedRow } from './encoded-row.js';
import { sourcesOf } from './sources.js';

/** The rows of one file, and how often an epoch has them. */
export interface WeightedRows {
  /** In the order of the file. */
  readonly rows: readonly EncodedRow[];
  /** Above 0. 2 is all of them twice, 0.5 half of them. */
  readonly weight: number;
}

/** What a run is trained on. */
export interface Mixture {
  /** File after file, each in its order; none that no epoch has. */
  readonly rows: readonly EncodedRow[];
  /** As long as `rows`: how often an epoch has each. */
  readonly repeats: readonly number[];
}

/**
 * The rows of several files as one data set: every row of a file so often as its weight has whole
 * times, and of what is left of the weight that part of the rows of the file, chosen by the seed
 * once for all epochs. Of a weight below 1 one row stays at least. The parts of a row stay
 * together.
 */
export function mixRows(
  files: readonly WeightedRows[],
  { seed }: { readonly seed: number },
): Mixture {
  const rows: EncodedRow[] = [];
  const repeats: number[] = [];
  for (const [index, file] of files.entries()) {
    const times = timesOf(file, { seed, index });
    for (const [row, each] of file.rows.entries()) {
      if (at(times, row) === 0) continue;
      rows.push(each);
      repeats.push(at(times, row));
    }
  }
  return { rows, repeats };
}

/** Rows that an epoch has of so many rows of a file. */
export function drawnRows(rows: number, weight: number): number {
  const whole = Math.floor(weight);
  const part = Math.round((weight - whole) * rows);
  return rows === 0 ? 0 : whole * rows + (whole === 0 ? Math.max(1, part) : part);
}

/** How often an epoch has each row. */
function timesOf(
  { rows, weight }: WeightedRows,
  { seed, index }: { readonly seed: number; readonly index: number },
): number[] {
  const sources = sourcesOf(rows);
  const whole = Math.floor(weight);
  const part = drawnRows(sources.length, weight) - whole * sources.length;
  const drawn = choose(sources.length, part, { seed, name: `part of data file ${index + 1}` });
  const times = new Array<number>(rows.length).fill(whole);
  for (const [source, ofSource] of sources.entries())
    if (drawn.has(source)) for (const row of ofSource) times[row] = whole + 1;
  return times;
}
