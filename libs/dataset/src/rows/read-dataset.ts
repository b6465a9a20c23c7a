import { createHash, type Hash } from 'node:crypto';
import { dirname, resolve } from 'node:path';

import type { EncodedRow } from '../encoded-row.js';
import { DatasetError, RowError, type RowPlace, type RowProblem } from '../errors.js';
import type { ImageFolder } from '../images/image-folder.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { ImageMeasurer, type MeasuredImage } from '../images/measure-images.js';
import { encodeRow } from '../masks/encode-row.js';
import type { EncodedText } from '../masks/encoded-text.js';
import type { TextRange } from '../masks/text-range.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { workAhead } from './ahead.js';
import { DatasetCounts, type DatasetReport } from './dataset-report.js';
import type { DatasetRow } from './dataset-row.js';
import { isBlank, textOfRow } from './decode-row.js';
import { readSets, type SourcedRow } from './read-sets.js';
import { parseRenamedColumns } from './renamed-columns.js';
import type { RowSet } from './row-sets.js';
import { parseRow, type RowRules } from './row.js';

/** A file of rows, and how they are taken. */
export interface DatasetRequest {
  /** JSON lines, a JSON array or CSV, in UTF-8, compressed by gzip or not; or Parquet. */
  readonly path: string;
  /** Rows are cut to this many tokens. At least 2. */
  readonly maxLength: number;
  /** Only the first so many rows of the file. */
  readonly limit?: number | null;
  /** Columns by the names that they are read by, `prompt=question`; null: their own. */
  readonly columns?: string | null;
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
  | {
      readonly kind: 'row';
      readonly row: EncodedRow;
      /** Of the row before it was cut. */
      readonly tokens: number;
      readonly text?: RowText;
    }
  | {
      readonly kind: 'dropped';
      readonly tokens: number;
      readonly line: number;
      readonly part?: number;
      readonly reason: string;
    }
  /** All that is wrong with it, at least one thing. */
  | { readonly kind: 'bad'; readonly problems: readonly RowProblem[] };

/** What a file held as a whole. */
export interface DatasetSummary {
  readonly report: DatasetReport;
  /**
   * SHA-256 of the bytes of rows that were read, and of the sizes of their images where there are
   * any, hexadecimal.
   */
  readonly sha256: string;
}

/** Rows whose images are looked at before the first of them is taken, and bytes of such rows. */
const [mostAhead, mostBytesAhead] = [64, 32 * 2 ** 20];

export interface ReadDatasetHost {
  readonly tokenizer: ChatTokenizer;
  /** Null: the model takes text alone. */
  readonly images: ImageTextOptions | null;
  readonly signal?: AbortSignal;
}

/**
 * Reads, checks and tokenises the rows of a file, or of the files that it lists, in its order.
 * @throws DatasetError DATASET_UNREADABLE, DATASET_INVALID_OPTION, DATASET_TEMPLATE_INVALID; the
 * signal's reason when aborted
 */
export async function* readDataset(
  request: DatasetRequest,
  host: ReadDatasetHost,
): AsyncGenerator<RowOutcome, DatasetSummary> {
  const { maxLength } = request;
  if (!Number.isInteger(maxLength) || maxLength < 2)
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `data set: maxLength is ${maxLength}, an integer of at least 2 is needed`,
    );
  const reader = new DatasetReader(request, host);
  yield* reader.outcomes();
  return reader.summary();
}

/** A row that was parsed, or what is wrong with it. */
type ParsedRow = { readonly place: RowPlace; readonly bytes: number } & (
  { readonly row: DatasetRow; readonly set: RowSet | null } | { readonly error: RowError }
);

/** A parsed row whose images were measured. */
type PreparedRow =
  | {
      readonly place: RowPlace;
      readonly row: DatasetRow;
      readonly images: readonly MeasuredImage[];
    }
  | { readonly place: RowPlace; readonly error: RowError };

class DatasetReader {
  readonly #counts = new DatasetCounts();
  readonly #hash = createHash('sha256');
  #imageHash: Hash | undefined;
  readonly #measurer: ImageMeasurer | null;
  readonly #rules: RowRules;

  constructor(
    private readonly request: DatasetRequest,
    private readonly host: ReadDatasetHost,
  ) {
    const { images, signal } = host;
    this.#measurer = images && new ImageMeasurer(images, signal);
    const { columns = null } = request;
    this.#rules = {
      takesImages: images !== null,
      columns: columns === null ? null : parseRenamedColumns(columns),
    };
  }

  async *outcomes(): AsyncGenerator<RowOutcome> {
    const encoder = new RowEncoder(this.request, { ...this.host, counts: this.#counts });
    const prepared = workAhead(this.#parsed(), (row) => this.#prepare(row), {
      most: this.#measurer ? mostAhead : 1,
      mostBytes: mostBytesAhead,
      bytesOf: ({ bytes }) => bytes,
    });
    for await (const row of prepared) {
      this.host.signal?.throwIfAborted();
      if ('images' in row) this.#hashImages(row.images);
      yield* encoder.encode(row);
    }
  }

  summary(): DatasetSummary {
    const imageHash = this.#imageHash?.digest('hex');
    if (imageHash !== undefined) this.#hash.update(imageHash);
    return { report: this.#counts.report(), sha256: this.#hash.digest('hex') };
  }

  /** Blank lines left out. */
  async *#parsed(): AsyncGenerator<ParsedRow> {
    const { path, limit = null } = this.request;
    const { images, signal } = this.host;
    const rows = readSets(path, {
      images,
      signal,
      onBytes: (chunk) => this.#hash.update(chunk),
      onSet: (set) => this.#counts.addSet(set),
    });
    for await (const row of rows) {
      signal?.throwIfAborted();
      if (limit !== null && this.#counts.sourceRows >= limit) break;
      const parsed = this.#parse(row);
      if (parsed) yield parsed;
    }
  }

  #parse({ set, ...raw }: SourcedRow): ParsedRow | null {
    const place = {
      line: raw.number,
      ...(set ? { set: { number: set.number, file: set.file } } : {}),
    };
    const parsed = { place, bytes: raw.bytes.length };
    try {
      const text = textOfRow(raw);
      if (isBlank(text)) return null;
      this.#counts.sourceRows += 1;
      return { ...parsed, set, row: parseRow(text, this.#rules) };
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      return { ...parsed, error };
    }
  }

  async #prepare(parsed: ParsedRow): Promise<PreparedRow> {
    if ('error' in parsed) return parsed;
    const { place, row, set } = parsed;
    const { images } = this.host;
    if (!this.#measurer || !images || row.images.length === 0) return { place, row, images: [] };
    try {
      const measured = await this.#measurer.measure({
        references: row.images,
        place: `${set?.file ?? this.request.path}:${place.line}`,
        folder: imageFolder(this.request.path, images, set),
        maxTiles: set?.maxTiles ?? images.maxTiles,
      });
      return { place, row, images: measured };
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      return { place, error };
    }
  }

  #hashImages(images: readonly MeasuredImage[]): void {
    if (images.length === 0) return;
    this.#imageHash ??= createHash('sha256');
    for (const { byteLength, width, height, tiles } of images)
      this.#imageHash.update(`${JSON.stringify([byteLength, width, height, tiles])}\n`);
  }
}

function imageFolder(
  path: string,
  { imageRoot, restrictToRoot }: ImageTextOptions,
  set: RowSet | null,
): ImageFolder {
  const base = resolve(imageRoot ?? dirname(path));
  return {
    root: set?.root ?? base,
    within: imageRoot !== null || restrictToRoot ? base : null,
  };
}

class RowEncoder {
  constructor(
    private readonly request: DatasetRequest,
    private readonly host: { readonly tokenizer: ChatTokenizer; readonly counts: DatasetCounts },
  ) {}

  *encode(prepared: PreparedRow): Generator<RowOutcome> {
    const { counts, tokenizer } = this.host;
    const { place } = prepared;
    try {
      if ('error' in prepared) throw prepared.error;
      const { row, images } = prepared;
      const texts = encodeRow(row, tokenizer, images);
      for (const text of texts) this.#assertImagesKept(text);
      counts.addSource(row, texts);
      for (const [index, each] of texts.entries())
        yield this.#outcome(each, place, texts.length > 1 ? index + 1 : undefined);
    } catch (error) {
      if (!(error instanceof RowError)) throw error;
      counts.badRows += 1;
      yield { kind: 'bad', problems: error.problemsAt(place) };
    }
  }

  /** @throws RowError where the end of an image would be cut off */
  #assertImagesKept({ ids, images }: EncodedText): void {
    const { maxLength } = this.request;
    const last = images.at(-1);
    if (last === undefined || last.contextStart + last.contextTokens < maxLength) return;
    throw new RowError(
      null,
      `has images up to its token ${last.contextStart + last.contextTokens + 1} of ${ids.length}, beyond the maximum length of ${maxLength}`,
    );
  }

  #outcome(encoded: EncodedText, { line, set }: RowPlace, part: number | undefined): RowOutcome {
    const { maxLength, withText = false } = this.request;
    const { ids, trained, text, ranges, images } = encoded;
    const isCut = ids.length > maxLength;
    const row: EncodedRow = {
      ids: ids.slice(0, maxLength),
      trained: trained.slice(0, maxLength),
      line,
      ...(set ? { set: set.number } : {}),
      ...(part === undefined ? {} : { part }),
      ...(isCut ? { isCut } : {}),
      ...(images.length > 0 ? { images } : {}),
    };
    if (!this.host.counts.addRow(row, ids.length))
      return {
        kind: 'dropped',
        tokens: ids.length,
        line,
        ...(part === undefined ? {} : { part }),
        reason: trained.includes(1)
          ? `none of its first ${maxLength} tokens is trained on, it has ${ids.length}`
          : 'nothing of it is trained on',
      };
    return {
      kind: 'row',
      row,
      tokens: ids.length,
      ...(withText ? { text: { text, ranges } } : {}),
    };
  }
}
