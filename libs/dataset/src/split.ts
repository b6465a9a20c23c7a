import type { EncodedRow } from './encoded-row.js';
import { DatasetError } from './errors.js';
import { createRandom } from './random.js';
import { sourcesOf } from './sources.js';

const validationShare = 0.05;
const leastValidationRows = 16;
const mostValidationRows = 256;

export interface ValidationSplit {
  readonly train: readonly EncodedRow[];
  readonly validation: readonly EncodedRow[];
}

/**
 * Holds out 5 % of the rows of the file, at least 16 and at most 256, chosen by the seed; the parts
 * of a row stay together. Both sides keep the order of the file.
 * @throws DatasetError DATASET_TOO_SMALL when fewer rows would be left to train on than are held
 * out
 */
export function splitValidation(
  rows: readonly EncodedRow[],
  { seed }: { readonly seed: number },
): ValidationSplit {
  const sources = sourcesOf(rows);
  const count = heldOutCount(sources.length);
  if (sources.length < 2 * count) {
    throw new DatasetError(
      'DATASET_TOO_SMALL',
      `data set: ${sources.length} usable rows, ${2 * count} are needed to hold out ${count} for validation; give a validation file instead`,
    );
  }
  const heldOut = choose(sources.length, count, seed, 'validation split');
  const of = (isHeldOut: boolean): EncodedRow[] =>
    rowsAt(
      rows,
      sources.filter((_, source) => heldOut.has(source) === isHeldOut),
    );
  return { train: of(false), validation: of(true) };
}

/** Rows of a file that `splitValidation` holds out of so many. */
export function heldOutCount(rowCount: number): number {
  return Math.min(
    mostValidationRows,
    Math.max(leastValidationRows, Math.round(rowCount * validationShare)),
  );
}

/**
 * `count` rows chosen by the seed, or all where there are no more than that, in the order of the
 * file.
 */
export function sampleCalibration(
  rows: readonly EncodedRow[],
  { count, seed }: { readonly count: number; readonly seed: number },
): EncodedRow[] {
  const chosen = choose(rows.length, count, seed, 'calibration sample');
  return rows.filter((_, row) => chosen.has(row));
}

function rowsAt(rows: readonly EncodedRow[], sources: readonly number[][]): EncodedRow[] {
  const chosen = new Set(sources.flat());
  return rows.filter((_, index) => chosen.has(index));
}

function choose(
  rowCount: number,
  count: number,
  seed: number,
  streamName: string,
): ReadonlySet<number> {
  const order = createRandom(seed, streamName).shuffle(
    Array.from({ length: rowCount }, (_, row) => row),
  );
  return new Set(order.slice(0, count));
}
