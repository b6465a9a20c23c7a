import { at } from '@emloc/checked';

import { chunksOf } from './chunks-of.js';
import type { EncodedRow } from './encoded-row.js';
import { DatasetError } from './errors.js';
import { createRandom } from './random.js';
import { sourcesOf } from './sources.js';

/** How many rows a micro-batch has. */
export type BatchSize =
  | { readonly rows: number }
  /** As many rows of like length as have no more than so many tokens. */
  | { readonly tokens: number };

type ScheduledRow = Pick<EncodedRow, 'file' | 'line' | 'part' | 'ids' | 'trained' | 'images'>;

export interface BatchesOptions {
  /** At least one. Parts of a row of the file follow each other in an epoch of batches of rows. */
  readonly rows: readonly ScheduledRow[];
  /** As long as `rows`: how often an epoch has each, parts of a row equally often; absent: once. */
  readonly repeats?: readonly number[];
  /** Of a micro-batch. */
  readonly batchSize: BatchSize;
  readonly seed: number;
}

/** The micro-batches of epochs. */
export interface Batches {
  /** How many an epoch has: all have equally many. */
  readonly perEpoch: number;
  /** As row indices, in the order in which they are trained on. */
  ofEpoch(epoch: number): readonly (readonly number[])[];
}

/** @throws DatasetError DATASET_INVALID_OPTION where a row has more tokens than a batch may */
export function createBatches(options: BatchesOptions): Batches {
  const { batchSize } = options;
  return 'rows' in batchSize
    ? new BatchesOfRows(options, batchSize.rows)
    : new BatchesOfTokens(options, batchSize.tokens);
}

/** So many rows each, the parts of a row one after another. */
class BatchesOfRows implements Batches {
  readonly perEpoch: number;
  readonly #drawn: readonly (readonly number[])[];

  constructor(
    private readonly options: BatchesOptions,
    private readonly batchRows: number,
  ) {
    const { rows, repeats } = options;
    this.#drawn = repeated(sourcesOf(rows), (source) => (repeats ? at(repeats, at(source, 0)) : 1));
    const drawnRows = this.#drawn.reduce((sum, { length }) => sum + length, 0);
    this.perEpoch = Math.ceil(drawnRows / batchRows);
  }

  ofEpoch(epoch: number): readonly (readonly number[])[] {
    const order = createRandom(this.options.seed, `order of epoch ${epoch}`);
    return chunksOf(order.shuffle([...this.#drawn]).flat(), this.batchRows);
  }
}

/**
 * Rows by their length, longest first, each batch with as many of the next ones as fit. Which of
 * rows of one size stands where, and the order of the batches, are new in each epoch; of which
 * sizes the rows of batches are is not, so that all epochs take the same memory.
 */
class BatchesOfTokens implements Batches {
  readonly perEpoch: number;
  /** Rows of an epoch by size, longest first; of equal size in any order. */
  readonly #bySize: readonly (readonly number[])[];
  /** Rows of each batch. */
  readonly #sizes: readonly number[];

  constructor(
    private readonly options: BatchesOptions,
    batchTokens: number,
  ) {
    this.#bySize = rowsBySize(options);
    const lengths = this.#bySize.flatMap((equal) =>
      equal.map((row) => at(options.rows, row).ids.length),
    );
    assertFit(at(lengths, 0), batchTokens);
    this.#sizes = sizesOf(lengths, batchTokens);
    this.perEpoch = this.#sizes.length;
  }

  ofEpoch(epoch: number): readonly (readonly number[])[] {
    const random = createRandom(this.options.seed, `order of epoch ${epoch}`);
    const rows = this.#bySize.flatMap((equal) => random.shuffle([...equal]));
    let start = 0;
    const batches = this.#sizes.map((size) => rows.slice(start, (start += size)));
    return random.shuffle(batches);
  }
}

interface RowsOfSize {
  readonly size: readonly number[];
  readonly rows: number[];
}

function rowsBySize({ rows, repeats }: BatchesOptions): readonly (readonly number[])[] {
  const bySize = new Map<string, RowsOfSize>();
  for (const [number, row] of rows.entries()) {
    const size = sizeOf(row);
    const key = size.join();
    const equal = bySize.get(key) ?? { size, rows: [] };
    for (let time = 0; time < (repeats ? at(repeats, number) : 1); time += 1)
      equal.rows.push(number);
    bySize.set(key, equal);
  }
  return [...bySize.values()].sort((a, b) => compare(b.size, a.size)).map((each) => each.rows);
}

/** All that the memory for a row depends on: its tokens, those that are trained on, its tiles. */
function sizeOf({ ids, trained, images = [] }: ScheduledRow): readonly number[] {
  const trainedTokens = trained.reduce((sum, flag) => sum + flag, 0);
  return [ids.length, trainedTokens, images.reduce((sum, { tiles }) => sum + tiles, 0)];
}

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, place) => value !== at(b, place));
  return index < 0 ? 0 : at(a, index) - at(b, index);
}

/** @param lengths descending */
function sizesOf(lengths: readonly number[], batchTokens: number): number[] {
  const sizes: number[] = [];
  let [rows, tokens] = [0, 0];
  for (const length of lengths) {
    if (tokens + length > batchTokens) {
      sizes.push(rows);
      [rows, tokens] = [0, 0];
    }
    rows += 1;
    tokens += length;
  }
  return [...sizes, rows];
}

function assertFit(longest: number, batchTokens: number): void {
  if (longest > batchTokens)
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `batches of ${batchTokens} tokens: a row has ${longest} tokens, which is the least that a batch needs room for`,
    );
}

/** Each so often. */
function repeated<T>(values: readonly T[], timesOf: (value: T) => number): readonly T[] {
  return values.flatMap((value) => Array.from({ length: timesOf(value) }, () => value));
}
