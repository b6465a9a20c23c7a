import { at } from '@emloc/checked';

import { allocate } from './allocate.js';
import { choose } from './choose.js';
import type { EncodedRow } from './encoded-row.js';
import { DatasetError } from './errors.js';
import { drawnRows, type Mixture, type WeightedRows } from './mixture.js';
import { sourcesOf } from './sources.js';

const validationShare = 0.05;
const leastValidationRows = 16;
const mostValidationRows = 256;

export interface ValidationSplit {
  /** What is left of each file. */
  readonly train: readonly WeightedRows[];
  /** File after file. */
  readonly validation: readonly EncodedRow[];
}

/**
 * Holds out 5 % of the rows of the files, at least 16 and at most 256: of each file as much of them
 * as an epoch has of it, no more than half of its rows, chosen by the seed; the parts of a row stay
 * together. Both sides keep the order of the files.
 * @throws DatasetError DATASET_TOO_SMALL when fewer rows would be left to train on than are held
 * out
 */
export function splitValidation(
  files: readonly WeightedRows[],
  { seed }: { readonly seed: number },
): ValidationSplit {
  const sources = files.map(({ rows }) => sourcesOf(rows));
  const total = sources.reduce((sum, { length }) => sum + length, 0);
  const count = heldOutCount(total);
  if (total < 2 * count) {
    throw new DatasetError(
      'DATASET_TOO_SMALL',
      `data set: ${total} usable rows, ${2 * count} are needed to hold out ${count} for validation; give a validation file instead`,
    );
  }
  const counts = heldOutOfFiles(
    files.map(({ weight }, index) => ({ rows: at(sources, index).length, weight })),
  );
  const sides = files.map(({ rows }, index) => {
    const own = at(sources, index);
    const name = streamOf('validation split', index);
    const heldOut = choose(own.length, at(counts, index), { seed, name });
    return {
      train: rowsAt(
        rows,
        own.filter((_, source) => !heldOut.has(source)),
      ),
      validation: rowsAt(
        rows,
        own.filter((_, source) => heldOut.has(source)),
      ),
    };
  });
  return {
    train: sides.map(({ train }, index) => ({ rows: train, weight: at(files, index).weight })),
    validation: sides.flatMap(({ validation }) => validation),
  };
}

/** Rows that `splitValidation` holds out of so many. */
export function heldOutCount(rowCount: number): number {
  return Math.min(
    mostValidationRows,
    Math.max(leastValidationRows, Math.round(rowCount * validationShare)),
  );
}

/** Rows that it holds out of each file. */
export function heldOutOfFiles(
  files: readonly { readonly rows: number; readonly weight: number }[],
): number[] {
  const claims = files.map(({ rows, weight }) => ({
    share: drawnRows(rows, weight),
    most: Math.floor(rows / 2),
  }));
  return allocate(heldOutCount(files.reduce((sum, { rows }) => sum + rows, 0)), claims);
}

/**
 * `count` rows chosen by the seed, or all where there are no more than that, in their order: of
 * each file as much of them as an epoch has of it.
 */
export function sampleCalibration(
  { rows, repeats }: Mixture,
  { count, seed }: { readonly count: number; readonly seed: number },
): EncodedRow[] {
  const files = byFile(rows);
  const claims = files.map(({ rows: own, start }) => ({
    share: own.reduce((sum, _, row) => sum + at(repeats, start + row), 0),
    most: own.length,
  }));
  const counts = allocate(Math.min(count, rows.length), claims);
  return files.flatMap(({ file, rows: own }, index) => {
    const name = streamOf('calibration sample', file - 1);
    const chosen = choose(own.length, at(counts, index), { seed, name });
    return own.filter((_, row) => chosen.has(row));
  });
}

interface FileRows {
  /** 1-based. */
  readonly file: number;
  readonly rows: EncodedRow[];
  /** Index of the first of them in all rows. */
  readonly start: number;
}

function byFile(rows: readonly EncodedRow[]): readonly FileRows[] {
  const files: FileRows[] = [];
  for (const [start, row] of rows.entries()) {
    const { file = 1 } = row;
    const last = files.at(-1);
    if (last?.file === file) last.rows.push(row);
    else files.push({ file, rows: [row], start });
  }
  return files;
}

/** Each file has random numbers of its own, the first those of a data set of one file. */
function streamOf(name: string, file: number): string {
  return file === 0 ? name : `${name} of data file ${file + 1}`;
}

function rowsAt(rows: readonly EncodedRow[], sources: readonly number[][]): EncodedRow[] {
  const chosen = new Set(sources.flat());
  return rows.filter((_, index) => chosen.has(index));
}
