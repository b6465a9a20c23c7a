import { RowError, type RowProblem } from '../errors.js';
import { isBlank, textOfRow } from './decode-row.js';
import type { RawRow } from './raw-row.js';
import { readRows } from './read-rows.js';
import { parseRenamedColumns } from './renamed-columns.js';
import { isListOfSets } from './row-sets.js';
import { parseRow, type RowRules } from './row.js';

/** Problems after which a file is looked at no further. */
export const maxProblems = 10;

export interface ScanRowsOptions {
  /** JSON lines, a JSON array or CSV, in UTF-8, compressed by gzip or not; or Parquet. */
  readonly path: string;
  /** Rows that end beyond are not looked at. */
  readonly maxBytes: number;
  /** Reading ends after this time. */
  readonly maxMs: number;
  /** Whether rows may have images; by default they may. */
  readonly takesImages?: boolean;
  /** As of `loadDataset`. */
  readonly columns?: string | null;
}

/** What a look at the rows of a file has found. */
export interface RowScan {
  /** Rows of the expected form; `loadDataset` may drop some of them. */
  readonly rows: number;
  /** Whether the whole file was read; without, there may be more rows and more problems. */
  readonly isWhole: boolean;
  /** The first ten. They never hold text of a row. */
  readonly problems: readonly RowProblem[];
}

/**
 * Checks the form of rows as `loadDataset` does, without a tokenizer, in one pass with bounded
 * memory and time.
 * @throws DatasetError DATASET_UNREADABLE, DATASET_INVALID_OPTION
 */
export async function scanRows({
  path,
  maxBytes,
  maxMs,
  takesImages = true,
  columns = null,
}: ScanRowsOptions): Promise<RowScan> {
  const rules = { takesImages, columns: columns === null ? null : parseRenamedColumns(columns) };
  const endMs = performance.now() + maxMs;
  if (await isListOfSets(path)) return { rows: 0, isWhole: false, problems: [listOfSets] };
  const problems: RowProblem[] = [];
  let [rows, bytesRead] = [0, 0];
  for await (const row of readRows(path)) {
    bytesRead += row.bytes.length + 1;
    if (bytesRead > maxBytes || performance.now() > endMs || problems.length >= maxProblems)
      return { rows, isWhole: false, problems };
    const found = lookAt(row, rules);
    if (found === 'row') rows += 1;
    else if (found !== 'blank')
      problems.push({ line: row.number, field: found.field, reason: found.reason });
  }
  return { rows, isWhole: true, problems };
}

/** The files that it names are nobody's but the machine's where it lies. */
const listOfSets: RowProblem = {
  line: 1,
  field: null,
  reason: 'lists data sets by their paths: a file of rows is needed here',
};

function lookAt(row: RawRow, rules: RowRules): 'row' | 'blank' | RowError {
  try {
    const text = textOfRow(row);
    if (isBlank(text)) return 'blank';
    parseRow(text, rules);
    return 'row';
  } catch (error) {
    if (error instanceof RowError) return error;
    throw error;
  }
}
