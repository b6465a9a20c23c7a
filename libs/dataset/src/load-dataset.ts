import { createHash } from 'node:crypto';

import { createLineDecoder } from './decode-line.js';
import { encodeRow, type TokenMask } from './encode-row.js';
import type { EncodedRow } from './encoded-row.js';
import { DatasetError, RowError, type RowProblem } from './errors.js';
import { readLines } from './read-lines.js';
import { parseRow } from './row-schema.js';
import type { ChatTokenizer } from './tokenizer.js';

/** Problems after which a file is read no further. */
export const MAX_PROBLEMS = 10;

export interface LoadDatasetOptions {
  /** A JSONL file in UTF-8. */
  readonly path: string;
  readonly tokenizer: ChatTokenizer;
  /** Rows are cut to this many tokens. At least 2. */
  readonly maxLength: number;
  /** Size of the model's embedding; a row with a token beyond it is refused. */
  readonly vocabularySize?: number;
  readonly signal?: AbortSignal;
}

/** What became of the rows of a file. */
export interface DatasetReport {
  /** Rows that can be trained on. */
  readonly rows: number;
  /** Of `rows`: those that were cut to the maximum length. */
  readonly truncatedRows: number;
  /** Rows left out, because no trained-on token lies within the maximum length. */
  readonly droppedRows: number;
  /** Tokens of `rows`, after cutting. */
  readonly tokens: number;
  /** Of `tokens`: those that are trained on. */
  readonly trainedTokens: number;
  /** Tokens that cutting and dropping lost. */
  readonly lostTokens: number;
  /** Tokens of the longest row of the file, before cutting. */
  readonly longestTokens: number;
}

export interface Dataset {
  /** In the order of the file. */
  readonly rows: readonly EncodedRow[];
  readonly report: DatasetReport;
  /** SHA-256 of the file's bytes, hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads, checks and tokenises a whole data set. Errors name file, line and field, never the content
 * of a row.
 * @throws DatasetError DATASET_INVALID_ROW with the first ten problems, DATASET_UNREADABLE,
 * DATASET_EMPTY, DATASET_INVALID_OPTION; the signal's reason when aborted
 */
export async function loadDataset(options: LoadDatasetOptions): Promise<Dataset> {
  const { path, maxLength, signal } = options;
  if (!Number.isInteger(maxLength) || maxLength < 2) {
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `data set: maxLength is ${maxLength}, an integer of at least 2 is needed`,
    );
  }
  const hash = createHash('sha256');
  const rows = new RowCollector(options);
  let line = 0;
  for await (const bytes of readLines(path, { signal, onBytes: (chunk) => hash.update(chunk) })) {
    signal?.throwIfAborted();
    line += 1;
    rows.add(bytes, line);
    if (rows.problems.length >= MAX_PROBLEMS) break;
  }
  return { ...rows.finish(), sha256: hash.digest('hex') };
}

/** Rows and counts so far. */
class RowCollector {
  readonly problems: RowProblem[] = [];
  readonly #rows: EncodedRow[] = [];
  readonly #counts = {
    truncatedRows: 0,
    droppedRows: 0,
    tokens: 0,
    trainedTokens: 0,
    lostTokens: 0,
    longestTokens: 0,
  };
  readonly #decode = createLineDecoder();

  constructor(private readonly options: LoadDatasetOptions) {}

  add(bytes: Uint8Array, line: number): void {
    try {
      const text = this.#decode(bytes, line);
      if (text.trim() === '') return;
      const mask = encodeRow(parseRow(text), this.options.tokenizer);
      this.#assertInVocabulary(mask.ids);
      this.#keep(mask, line);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      this.problems.push({ line, field: error.field, reason: error.reason });
    }
  }

  finish(): { readonly rows: readonly EncodedRow[]; readonly report: DatasetReport } {
    const { path, maxLength } = this.options;
    if (this.problems.length > 0) throw invalidRows(path, this.problems);
    if (this.#rows.length === 0) {
      const { droppedRows } = this.#counts;
      const reason =
        droppedRows === 0
          ? 'has no rows'
          : `none of its ${droppedRows} rows has a trained-on token within ${maxLength} tokens`;
      throw new DatasetError('DATASET_EMPTY', `${path}: ${reason}`);
    }
    return { rows: this.#rows, report: { rows: this.#rows.length, ...this.#counts } };
  }

  #assertInVocabulary(ids: Int32Array): void {
    const { vocabularySize } = this.options;
    if (vocabularySize === undefined) return;
    const outside = ids.find((id) => id >= vocabularySize);
    if (outside !== undefined)
      throw new RowError(
        null,
        `has token ${outside}, the model's vocabulary ends at ${vocabularySize - 1}: tokenizer and model do not belong together`,
      );
  }

  #keep({ ids, trained }: TokenMask, line: number): void {
    const counts = this.#counts;
    const kept = ids.slice(0, this.options.maxLength);
    const keptTrained = trained.slice(0, kept.length);
    const trainedTokens = keptTrained.reduce((sum, flag) => sum + flag, 0);
    counts.longestTokens = Math.max(counts.longestTokens, ids.length);
    if (trainedTokens === 0) {
      counts.droppedRows += 1;
      counts.lostTokens += ids.length;
      return;
    }
    if (kept.length < ids.length) counts.truncatedRows += 1;
    counts.lostTokens += ids.length - kept.length;
    counts.tokens += kept.length;
    counts.trainedTokens += trainedTokens;
    this.#rows.push({ ids: kept, trained: keptTrained, line });
  }
}

function invalidRows(path: string, problems: readonly RowProblem[]): DatasetError {
  const lines = problems.map(
    ({ line, field, reason }) => `${path}:${line}: ${field === null ? '' : `${field} `}${reason}`,
  );
  const more =
    problems.length >= MAX_PROBLEMS ? [`stopped after the first ${MAX_PROBLEMS} problems`] : [];
  return new DatasetError('DATASET_INVALID_ROW', [...lines, ...more].join('\n'), { problems });
}
