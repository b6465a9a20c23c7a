import type { EncodedRow } from './encoded-row.js';
import { DatasetError } from './errors.js';
import { createRandom } from './random.js';

const VALIDATION_SHARE = 0.05;
const LEAST_VALIDATION_ROWS = 16;
const MOST_VALIDATION_ROWS = 256;

export interface ValidationSplit {
  readonly train: readonly EncodedRow[];
  readonly validation: readonly EncodedRow[];
}

/**
 * Holds out 5 % of the rows, at least 16 and at most 256, chosen by the seed. Both parts keep the
 * order of the file.
 * @throws DatasetError DATASET_TOO_SMALL when fewer rows would be left to train on than are held
 * out
 */
export function splitValidation(
  rows: readonly EncodedRow[],
  { seed }: { readonly seed: number },
): ValidationSplit {
  const count = heldOutCount(rows.length);
  if (rows.length < 2 * count) {
    throw new DatasetError(
      'DATASET_TOO_SMALL',
      `data set: ${rows.length} usable rows, ${2 * count} are needed to hold out ${count} for validation; give a validation file instead`,
    );
  }
  const heldOut = choose(rows.length, count, seed, 'validation split');
  return {
    train: rows.filter((_, row) => !heldOut.has(row)),
    validation: rows.filter((_, row) => heldOut.has(row)),
  };
}

/** Rows that `splitValidation` holds out of so many. */
export function heldOutCount(rowCount: number): number {
  return Math.min(
    MOST_VALIDATION_ROWS,
    Math.max(LEAST_VALIDATION_ROWS, Math.round(rowCount * VALIDATION_SHARE)),
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
