import { createLineDecoder } from './decode-line.js';
import { RowError, type RowProblem } from './errors.js';
import { MAX_PROBLEMS } from './load-dataset.js';
import { readLines } from './read-lines.js';
import { parseRow } from './row-schema.js';

export interface ScanRowsOptions {
  /** A JSONL file in UTF-8. */
  readonly path: string;
  /** Lines that end beyond are not looked at. */
  readonly maxBytes: number;
  /** Reading ends after this time. */
  readonly maxMs: number;
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
 * @throws DatasetError DATASET_UNREADABLE
 */
export async function scanRows({ path, maxBytes, maxMs }: ScanRowsOptions): Promise<RowScan> {
  const endMs = performance.now() + maxMs;
  const decode = createLineDecoder();
  const problems: RowProblem[] = [];
  let [rows, line, bytesRead] = [0, 0, 0];
  for await (const bytes of readLines(path, { onBytes: () => undefined })) {
    line += 1;
    bytesRead += bytes.length + 1;
    if (bytesRead > maxBytes || performance.now() > endMs || problems.length >= MAX_PROBLEMS)
      return { rows, isWhole: false, problems };
    const found = lookAt(() => decode(bytes, line));
    if (found === 'row') rows += 1;
    else if (found !== 'blank') problems.push({ line, field: found.field, reason: found.reason });
  }
  return { rows, isWhole: true, problems };
}

function lookAt(textOf: () => string): 'row' | 'blank' | RowError {
  try {
    const text = textOf();
    if (text.trim() === '') return 'blank';
    parseRow(text);
    return 'row';
  } catch (error) {
    if (error instanceof RowError) return error;
    throw error;
  }
}
