import { createHash } from 'node:crypto';

import type { EncodedRow } from '../encoded-row.js';
import { DatasetError, RowError, type RowProblem } from '../errors.js';
import { encodeRow } from '../masks/encode-row.js';
import type { EncodedText } from '../masks/encoded-text.js';
import type { TextRange } from '../masks/text-range.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { DatasetCounts, type DatasetReport } from './dataset-report.js';
import { decodeRow, isBlank } from './decode-row.js';
import type { RawRow } from './raw-row.js';
import { readRows } from './read-rows.js';
import { parseRow } from './row.js';

/** A file of rows, and how they are taken. */
export interface DatasetRequest {
  /** JSON lines or a JSON array, in UTF-8, compressed by gzip or not. */
  readonly path: string;
  /** Rows are cut to this many tokens. At least 2. */
  readonly maxLength: number;
  /** Only the first so many rows of the file. */
  readonly limit?: number | null;
  /** Whether outcomes come with their text. */
  readonly withText?: boolean;
}

/** The text of a row, and the parts of it that are trained on. */
interface RowText {
  readonly text: string;
  readonly ranges: readonly TextRange[];
}

/** What became of a row of the file, or of a part of it. */
export type RowOutcome =
  | { readonly kind: 'row'; readonly row: EncodedRow; readonly text?: RowText }
  | {
      readonly kind: 'dropped';
      readonly line: number;
      readonly part?: number;
      readonly reason: string;
    }
  | { readonly kind: 'bad'; readonly problem: RowProblem };

/** What a file held as a whole. */
export interface DatasetSummary {
  readonly report: DatasetReport;
  /** SHA-256 of the bytes that were read, hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads, checks and tokenises the rows of a file, in its order.
 * @throws DatasetError DATASET_UNREADABLE, DATASET_INVALID_OPTION, DATASET_TEMPLATE_INVALID; the
 * signal's reason when aborted
 */
export async function* readDataset(
  request: DatasetRequest,
  tokenizer: ChatTokenizer,
  signal?: AbortSignal,
): AsyncGenerator<RowOutcome, DatasetSummary> {
  const { path, maxLength, limit = null } = request;
  if (!Number.isInteger(maxLength) || maxLength < 2)
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `data set: maxLength is ${maxLength}, an integer of at least 2 is needed`,
    );
  const hash = createHash('sha256');
  const counts = new DatasetCounts();
  const encoder = new RowEncoder(request, { tokenizer, counts });
  for await (const row of readRows(path, { signal, onBytes: (chunk) => hash.update(chunk) })) {
    signal?.throwIfAborted();
    if (limit !== null && counts.sourceRows >= limit) break;
    yield* encoder.encode(row);
  }
  return { report: counts.report(), sha256: hash.digest('hex') };
}

class RowEncoder {
  constructor(
    private readonly request: DatasetRequest,
    private readonly host: { readonly tokenizer: ChatTokenizer; readonly counts: DatasetCounts },
  ) {}

  *encode({ number, bytes }: RawRow): Generator<RowOutcome> {
    const { counts, tokenizer } = this.host;
    try {
      const text = decodeRow(bytes);
      if (isBlank(text)) return;
      counts.sourceRows += 1;
      const row = parseRow(text);
      const texts = encodeRow(row, tokenizer);
      counts.addSource(row, texts);
      for (const [index, each] of texts.entries())
        yield this.#outcome(each, number, texts.length > 1 ? index + 1 : undefined);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      counts.badRows += 1;
      yield { kind: 'bad', problem: error.problemOf(number) };
    }
  }

  #outcome(encoded: EncodedText, line: number, part: number | undefined): RowOutcome {
    const { maxLength, withText = false } = this.request;
    const { ids, trained, text, ranges } = encoded;
    const isCut = ids.length > maxLength;
    const row: EncodedRow = {
      ids: ids.slice(0, maxLength),
      trained: trained.slice(0, maxLength),
      line,
      ...(part === undefined ? {} : { part }),
      ...(isCut ? { isCut } : {}),
    };
    if (!this.host.counts.addRow(row, ids.length))
      return {
        kind: 'dropped',
        line,
        ...(part === undefined ? {} : { part }),
        reason: trained.includes(1)
          ? `none of its first ${maxLength} tokens is trained on, it has ${ids.length}`
          : 'nothing of it is trained on',
      };
    return { kind: 'row', row, ...(withText ? { text: { text, ranges } } : {}) };
  }
}
