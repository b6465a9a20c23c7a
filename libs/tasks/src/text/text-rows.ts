import { at } from '@emloc/checked';
import { packBatch, type EncodedRow, type PackedBatch } from '@emloc/dataset';
import { imageStreams, type Batch, type BatchShape, type RowSource } from '@emloc/models';

import type { ImageSet } from '../images/image-set.js';
import type { Scoring, TaskBatches, TaskRows } from '../task-rows.js';
import { evaluateText, type Evaluation } from './text-score.js';
import { TextTables } from './text-tables.js';

/** Images that stand in texts. */
export interface TextImages {
  readonly set: ImageSet;
  /** Of the set's tiles: what a batch brings of them. */
  readonly tiles: RowSource;
}

/** Batches of texts. */
export type TextBatches = TaskBatches<TextRows>;

/** What rows of a model without tables look up. */
const noTables = new TextTables({ tables: [] }, null);

/** Encoded rows of a text as batches of a decoder's chain, with images where it takes some. */
export class TextRows implements TaskRows {
  /** By the list of row numbers: a batch is asked for at every step of a chain. */
  readonly #packed = new WeakMap<readonly number[], PackedBatch>();

  constructor(
    private readonly rows: readonly EncodedRow[],
    private readonly images: TextImages | null = null,
    private readonly tables: TextTables = noTables,
  ) {}

  /** The same rows, whose images bring something else. */
  bringing(tiles: RowSource): TextRows {
    return this.images ? new TextRows(this.rows, { ...this.images, tiles }, this.tables) : this;
  }

  /** The same rows, which bring what these tables have of their tokens. */
  lookingUp(tables: TextTables): TextRows {
    return new TextRows(this.rows, this.images, tables);
  }

  get count(): number {
    return this.rows.length;
  }

  get items(): number {
    return this.rows.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** The rows of a batch, one after another. */
  packed(rows: readonly number[]): PackedBatch {
    const known = this.#packed.get(rows);
    if (known) return known;
    const batch = packBatch(rows.map((row) => at(this.rows, row)));
    this.#packed.set(rows, batch);
    return batch;
  }

  evaluate(
    batches: readonly (readonly number[])[],
    scoring: Scoring,
  ): Promise<readonly Evaluation[]> {
    return evaluateText({ ...scoring, batches: { source: this, rows: batches } });
  }

  /** Numbers of the tiles in these rows, in order. */
  tilesOf(rows: readonly number[]): number[] {
    return rows.flatMap((row) => this.images?.set.tilesOf(at(this.rows, row)) ?? []);
  }

  shape(rows: readonly number[]): BatchShape {
    const packed = this.packed(rows);
    const text = this.#textShape(packed);
    return this.images
      ? withImages(text, this.images.tiles.shape(this.tilesOf(rows)), packed)
      : text;
  }

  async load(
    rows: readonly number[],
    isWanted: (stream: string) => boolean = () => true,
  ): Promise<Batch> {
    const packed = this.packed(rows);
    const { ids, targetRows, targets, imageRows } = packed;
    const integers = new Map(Object.entries({ ids, targetRows, targets }));
    const shape = this.#textShape(packed);
    const values = await this.tables.lookUp(ids, isWanted);
    if (!this.images) return { shape, integers, values };
    const tiles = await this.images.tiles.load(this.tilesOf(rows), isWanted);
    return {
      shape: withImages(shape, tiles.shape, packed),
      integers: new Map([...integers, ...tiles.integers, [imageStreams.places, imageRows]]),
      values: new Map([...values, ...tiles.values]),
    };
  }

  /** What the tables have of tokens that follow rows. */
  lookUp(ids: Int32Array): ReturnType<TextTables['lookUp']> {
    return this.tables.lookUp(ids, () => true);
  }

  #textShape({ ids, offsets, targets }: PackedBatch): BatchShape {
    const [tokens, trained] = [ids.length, targets.length];
    return {
      layouts: new Map([['tokens', offsets]]),
      integers: new Map(Object.entries({ ids: tokens, targetRows: trained, targets: trained })),
      values: this.tables.shapes,
      lossWeight: trained,
      items: tokens,
    };
  }
}

function withImages(
  text: BatchShape,
  { layouts, integers, values }: BatchShape,
  { imageRows }: PackedBatch,
): BatchShape {
  const places = [imageStreams.places, imageRows.length] as const;
  return {
    ...text,
    layouts: new Map([...text.layouts, ...layouts]),
    integers: new Map([...text.integers, ...integers, places]),
    values: new Map([...text.values, ...values]),
  };
}

/**
 * Numbers of rows in order, as many to a batch as have no more tokens than that together; one at
 * least.
 * @param lengths of the rows, in tokens
 */
export function consecutiveTokens(
  lengths: readonly number[],
  batchTokens: number,
): (readonly number[])[] {
  const batches: number[][] = [];
  let tokens = Number.POSITIVE_INFINITY;
  for (const [row, length] of lengths.entries()) {
    tokens += length;
    if (tokens > batchTokens) {
      batches.push([]);
      tokens = length;
    }
    batches.at(-1)?.push(row);
  }
  return batches;
}

/** Numbers of rows in order, `batchRows` to a batch. */
export function consecutive(count: number, batchRows: number): (readonly number[])[] {
  return Array.from({ length: Math.ceil(count / batchRows) }, (_, batch) =>
    Array.from(
      { length: Math.min(batchRows, count - batch * batchRows) },
      (_row, index) => batch * batchRows + index,
    ),
  );
}
